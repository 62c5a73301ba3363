# bash completion of rdmsetup: source this, or keep it as /usr/share/bash-completion/completions/rdmsetup.
# What can stand at a place is asked of the program itself, so this file does not age.

_rdmsetup() {
    local line=${COMP_LINE:0:COMP_POINT} rest word kind value shown i
    local -a words=() found
    # bash parts words at = and : too; they are put together again where the line has no blank between.
    rest=$line
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 0)) && [[ -n $rest && $rest != [[:blank:]]* && ${#words[@]} -gt 0 ]]; then
            words[-1]+=$word
        else
            rest=${rest#"${rest%%[![:blank:]]*}"}
            words+=("$word")
        fi
        rest=${rest#"$word"}
    done
    # What stands behind the cursor is no part of the word.
    value=${line##*[[:blank:]]}
    [[ ${words[-1]} == "$value"* ]] && words[-1]=$value
    mapfile -t found < <("${words[0]}" completions --complete=bash -- "${words[@]//\\/}" 2>/dev/null)
    kind=${found[0]:-words}
    COMPREPLY=()
    case $kind in
        files) mapfile -t COMPREPLY < <(compgen -f -- "${words[-1]}"); compopt -o filenames 2>/dev/null ;;
        directories) mapfile -t COMPREPLY < <(compgen -d -- "${words[-1]}"); compopt -o filenames 2>/dev/null ;;
        *)
            # Of what is found the part that bash takes for words before this one is not given again.
            word=${words[-1]}
            shown=${word%"${word##*[=:]}"}
            for value in "${found[@]:1}"; do
                value=${value%%$'\t'*}
                printf -v value %q "${value#"$shown"}"
                COMPREPLY+=("${value//\\,/,}")
            done
            [[ ${COMPREPLY[0]} == *[,=] && ${#COMPREPLY[@]} -eq 1 ]] && compopt -o nospace 2>/dev/null
            ;;
    esac
}

complete -F _rdmsetup rdmsetup
