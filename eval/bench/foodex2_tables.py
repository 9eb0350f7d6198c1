"""The record of `foodex2_stages.py` as tables to read."""

from __future__ import annotations

from typing import Any

SHOWN = ("accuracy_at_1", "accuracy_at_3", "accuracy_at_5", "recall_at_10", "ndcg_at_10")
SHOWN += ("mrr_at_10", "map_at_100")


def markdown(results: dict[str, Any]) -> str:
    """The results as tables."""
    lines = ["# The stages of the FoodEx2 walk", ""]
    for of, table in results.get("base terms", {}).items():
        lines += [f"## Base terms: {of}, {table['rows']:,} rows", ""]
        lines += [
            f"| way | {' | '.join(SHOWN)} | seconds |",
            "| --- |" + " --- |" * (len(SHOWN) + 1),
        ]
        for name, own in table.items():
            if name != "rows":
                cells = " | ".join(f"{own[k][0]:.3f}" for k in SHOWN)
                lines.append(f"| {name} | {cells} | {own['seconds']} |")
        lines.append("")
    for of, table in results.get("facet categories", {}).items():
        lines += [f"## Facet categories: {of}", "", f"Rows: {table['rows']}", ""]
        columns = ["precision", "recall", "f1"]
        head = [f"{c}_{a}" for a in ("micro", "macro") for c in columns]
        lines += [f"| way | threshold | {' | '.join(head)} |", "| --- |" + " --- |" * 7]
        for name, own in table.items():
            if name == "rows":
                continue
            for threshold, values in ({"": own} if "f1_micro" in own else own).items():
                cells = " | ".join(f"{values[k]:.3f}" for k in head)
                lines.append(f"| {name} | {threshold} | {cells} |")
        lines.append("")
    for of, table in results.get("descriptors", {}).items():
        lines += [f"## Descriptors: {of}", ""]
        lines += ["| encoder | category | questions | accuracy_at_1 | recall_at_10 |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for name, categories in table.items():
            for category, own in categories.items():
                lines.append(
                    f"| {name} | {category} | {own['questions']} | {own['accuracy_at_1']:.3f} | "
                    f"{own['recall_at_10']:.3f} |"
                )
        lines.append("")
    if whole := results.get("whole codes"):
        lines += ["## Whole codes of FoodEx1 foods", "", "| measure | |", "| --- | --- |"]
        lines += [f"| {name} | {value:g} |" for name, value in whole.items()] + [""]
    commands = dict.fromkeys(results["commands"].values())
    return "\n".join([*lines, "Made by:", "", "```sh", *commands, "```", ""])
