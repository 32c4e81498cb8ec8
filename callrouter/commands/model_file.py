"""A delay model in a file: `pool simulate --fit` and `pool fit --json` write it, `pool simulate --model` takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from callrouter.pool.delay import DelayModel

NEEDED = {"call_share", "delays", "return_share", "returns"}
"""Without them a file is some other JSON."""


def given_model(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> DelayModel | None:
    if value is None:
        return None
    try:
        told = msgspec.json.decode(value.read_bytes())
        model = msgspec.convert(_model_in(told), DelayModel)
    except OSError as error:
        raise click.BadParameter(f"{value} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise click.BadParameter(f"{value} holds no delay model: {error}") from None
    return model


def write_model(model: DelayModel, file: Path) -> None:
    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(model)) + b"\n")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None


def _model_in(told: Any) -> Any:
    """The file's whole, or what `pool fit --json` says of its model."""
    fitted = told.get("fit") if isinstance(told, dict) else None
    model = fitted.get("model") if isinstance(fitted, dict) else told
    if not isinstance(model, dict) or not model.keys() >= NEEDED:
        raise ValueError(f"it lacks {', '.join(sorted(NEEDED))}")
    return model
