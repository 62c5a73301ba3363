# fish completion of rdmsetup: keep this as ~/.config/fish/completions/rdmsetup.fish, or source it.
# What can stand at a place is asked of the program itself, so this file does not age.

function __rdmsetup_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] completions --complete=fish -- $words "$current" 2>/dev/null)
    switch "$found[1]"
        case files
            __fish_complete_path "$current"
        case directories
            __fish_complete_directories "$current" ''
        case '*'
            if set -q found[2]
                printf '%s\n' $found[2..-1]
            end
    end
end

complete -c rdmsetup -f -a '(__rdmsetup_complete)'
