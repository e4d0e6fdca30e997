"""completion: scripts that complete the command line in a shell, made from its parser."""

from __future__ import annotations

import argparse
import shlex

__all__ = ["completion"]


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for `bash`, `zsh` or `fish`."""
    commands = {name: sub for action in parser._actions if isinstance(action, argparse._SubParsersAction)
                for name, sub in action.choices.items()}
    options = {name: [(s, a.choices, a.help or "") for a in sub._actions for s in a.option_strings]
               for name, sub in commands.items()}
    if shell == "fish":
        lines = ["complete -c given -f -n __fish_use_subcommand -a " + shlex.quote(" ".join(commands))]
        for name, each in options.items():
            for flag, choices, text in each:
                kind = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
                given = f" -x -a {shlex.quote(' '.join(map(str, choices)))}" if choices else ""
                lines.append(f"complete -c given -n '__fish_seen_subcommand_from {name}' {kind}{given} -d {shlex.quote(text)}")
        return "\n".join([*lines, "complete -c given -n 'not __fish_use_subcommand' -F"])
    cases = "\n".join(f"    {name}) words={shlex.quote(' '.join(flag for flag, _, _ in each))};;"
                      for name, each in options.items())
    values = "\n".join(f"    {flag}) COMPREPLY=($(compgen -W {shlex.quote(' '.join(map(str, choices)))} -- \"$now\")); return;;"
                       for flag, choices in {f: c for each in options.values() for f, c, _ in each if c}.items())
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return f"""{head}_given() {{
  local now="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words={shlex.quote(' '.join(commands))}
  case "$before" in
{values}
  esac
  if [ "$COMP_CWORD" -gt 1 ]; then case "${{COMP_WORDS[1]}}" in
{cases}
  esac; fi
  case "$now" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$now"));;
    *) if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "$words" -- "$now"))
       else COMPREPLY=($(compgen -f -- "$now")); fi;;
  esac
}}
complete -F _given given"""
