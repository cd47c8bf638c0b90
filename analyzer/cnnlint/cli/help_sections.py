"""A command with many options, listed in sections."""

from __future__ import annotations

from typing import ClassVar

import click


class Sectioned(click.Command):
    """A command whose help lists its options by what they are about."""

    SECTIONS: ClassVar[dict[str, tuple[str, ...]]] = {
        "Reports": ("form", "outputs", "color", "quiet", "verbose"),
        "Models": ("static", "inputs", "cache_dir", "skip_weights_only"),
        "Limits": ("run_timeout", "run_memory"),
        "Rules": ("select", "extend_select", "ignore", "pedantic", "no_model_ignores"),
        "Exit code": ("fail_on", "exit_zero"),
        "Budgets (5M, 20 MB, 50 %; over budget is an error)": ("budget_",),
        "Configuration": ("config", "isolated", "allow_config_code", "ignore_config_code", "show_settings"),
        "Help": ("help",),
    }
    """The names, or beginnings of names, of the parameters in each section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every option in its section."""
        rest = {
            param.name or "": record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx))
        }
        for section, names in self.SECTIONS.items():
            chosen = [
                key for name in names for key in rest if key == name or (name.endswith("_") and key.startswith(name))
            ]
            if chosen:
                with formatter.section(section):
                    formatter.write_dl([rest.pop(key) for key in chosen], col_max=34)
        if rest:
            with formatter.section("Other options"):
                formatter.write_dl(list(rest.values()))
