# bash completion for cay; the tables in front of this are printed by the build.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

# Ids and names of the sandboxes that live; nothing if no server answers.
_cay_sandboxes() {
	cay ls 2>/dev/null | while read -r id name _; do
		[[ $id == ID ]] && continue
		printf '%s\n' "$id"
		[[ $name == - ]] || printf '%s\n' "$name"
	done
}

# _cay_offer KIND [WORD…]: fills COMPREPLY for the word being typed, $cur.
_cay_offer() {
	local kind=$1
	shift
	case $kind in
	word) mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur") ;;
	command) mapfile -t COMPREPLY < <(compgen -W "$_cay_commands" -- "$cur") ;;
	control) mapfile -t COMPREPLY < <(compgen -W "$_cay_controls" -- "$cur") ;;
	sandbox) mapfile -t COMPREPLY < <(compgen -W "$(_cay_sandboxes)" -- "$cur") ;;
	program) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
	dir) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	file) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	place)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur"; compgen -S : -W "$(_cay_sandboxes)" -- "$cur")
		compopt -o nospace 2>/dev/null
		;;
	esac
}

# Which argument of the command is being typed: its number in $n; -1 behind the first word of a program.
_cay_argument() {
	local -a kinds=(${_cay_arguments[$command]})
	local i word
	n=0
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == -- ]]; then
			continue
		elif [[ $word == -* ]]; then
			[[ -n ${_cay_values["$command $word"]-} ]] && ((i++))
		elif [[ ${kinds[n]-} == *! ]]; then
			n=-1
			return
		else
			[[ ${kinds[n]-} == *+ ]] || ((n++))
		fi
	done
}

_cay() {
	local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]-} n
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_cay_offer command
		return
	fi
	[[ -n ${_cay_options[$command]-} ]] || return
	_cay_argument
	if ((n < 0)); then
		_cay_offer file
		return
	fi
	local value=${_cay_values["$command ${COMP_WORDS[COMP_CWORD - 1]}"]-}
	if [[ -n $value ]]; then
		# shellcheck disable=SC2086 # a kind and its words
		_cay_offer $value
	elif [[ $cur == -* ]]; then
		_cay_offer word "${_cay_options[$command]}"
	else
		local -a kinds=(${_cay_arguments[$command]})
		local kind=${kinds[n]-nothing}
		_cay_offer "${kind%[+!]}"
	fi
}

complete -F _cay cay
