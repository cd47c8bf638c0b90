"""`cnnlint completion`: the script with which a shell completes cnnlint's command line."""

from __future__ import annotations

import click

from cnnlint.cli.mistyped import OneOf
from cnnlint.cli.streams import write

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=OneOf(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash   put  eval "$(cnnlint completion bash)"  into ~/.bashrc
    zsh    put  eval "$(cnnlint completion zsh)"  into ~/.zshrc, after compinit
    fish   cnnlint completion fish > ~/.config/fish/completions/cnnlint.fish
    """  # noqa: D301 - click wants the control character itself
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    if completion is None:
        raise click.ClickException(f"the installed version of click has no completion for {shell}")
    script = completion(ctx.find_root().command, {}, "cnnlint", "_CNNLINT_COMPLETE")
    # not `script.source()`, which asks the installed bash for its version first
    write(script.source_template % script.source_vars())
