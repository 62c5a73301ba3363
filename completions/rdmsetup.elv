# elvish completion of rdmsetup: `eval (slurp < rdmsetup.elv)` in ~/.config/elvish/rc.elv.
# What can stand at a place is asked of the program itself, so this file does not age.

use str

set edit:completion:arg-completer[rdmsetup] = {|@words|
    var found = [(try { (external $words[0]) completions --complete=elvish -- $@words 2>/dev/null } catch { } | from-lines)]
    if (== (count $found) 0) {
        return
    }
    if (has-value [files directories] $found[0]) {
        edit:complete-filename $words[-1]
    } else {
        for line $found[1..] {
            var parts = [(str:split "\t" $line)]
            edit:complex-candidate $parts[0] &display=$parts[0]'  '$parts[-1]
        }
    }
}
