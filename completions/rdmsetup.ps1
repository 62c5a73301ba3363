# PowerShell completion of rdmsetup: `. ./rdmsetup.ps1` in $PROFILE.
# What can stand at a place is asked of the program itself, so this file does not age.

Register-ArgumentCompleter -Native -CommandName rdmsetup -ScriptBlock {
    param($word, $ast, $cursor)
    $words = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursor -or $_.Extent.Text -eq $word } |
        ForEach-Object { $_.Extent.Text })
    if ($word -eq '') { $words += '' }
    $found = @(& $words[0] completions --complete=powershell -- @words 2>$null)
    if ($found.Count -eq 0) { return }
    if ($found[0] -in 'files', 'directories') {
        # With nothing to offer PowerShell completes paths.
        return
    }
    $found | Select-Object -Skip 1 | ForEach-Object {
        $value, $about = $_ -split "`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
    }
}
