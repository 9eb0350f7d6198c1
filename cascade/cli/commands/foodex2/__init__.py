"""`cascade foodex2`: codes for descriptions of foods; codes checked, decoded and migrated."""

from __future__ import annotations

import typer

from cascade.cli.commands.foodex2 import codes, encode, fit

app = typer.Typer(
    help="Describe foods by FoodEx2 codes; check, explain and migrate codes. The catalogue "
    "(MTX.ecf) and the table of processes (BR_Data.csv) are published by EFSA; they are looked "
    "for here, or in the folder of $CASCADE_FOODEX2.",
    no_args_is_help=True,
)
app.command("check", epilog=codes.CHECK)(codes.check)
app.command("decode", epilog=codes.DECODE)(codes.decode)
app.command("migrate", epilog=codes.MIGRATE)(codes.migrate)
app.command("encode", epilog=encode.ENCODE)(encode.encode)
app.command("rows", epilog=encode.ROWS)(encode.rows)
app.command("fit", epilog=fit.FIT)(fit.fit)
app.command("eval", epilog=fit.EVAL)(fit.evaluate)
