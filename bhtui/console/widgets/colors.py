"""The colours of a theme as Textual's own widgets take them."""

from __future__ import annotations

from textual.theme import Theme as TextualTheme

from ..theme import Theme


def for_textual(theme: Theme, name: str) -> TextualTheme:
    """`name` is what Textual is to know it by."""
    colors = theme.colors
    return TextualTheme(
        name,
        primary=colors["accent"],
        secondary=colors["notice"],
        warning=colors["warn"],
        error=colors["bad"],
        success=colors["ok"],
        accent=colors["accent"],
        foreground=colors["text"],
        background=colors["bg"],
        surface=colors["raised"],
        panel=colors["cursor"],
        dark=theme.dark,
        variables={
            "input-selection-background": colors["cursor"],
            "text-muted": colors["dim"],
            "button-focus-text-style": "bold",
        },
    )
