"""The tool of the agent, whose questions become elicitations: the client asks its user.

Since the protocol of 2026-07-28 a server does not call its client. The call ends with the question
and the steps so far, and begins again with the answer; these steps are then not asked of the model
again.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp.types.version import is_version_at_least
from pydantic import BaseModel, Field

from cascade.errors import CascadeError, UsageError
from cascade.predictions import Prediction, steps_as_dicts
from cascade.serving.mcp.arguments import LOOKS, Fields, Text
from cascade.serving.tools import Tools, item_of
from cascade.serving.values import WalkValue

ASKED = "answer"  # key of the one question of a round
ROUNDS_SINCE = "2026-07-28"
SHOWN = 300  # characters of an item that a question shows


class AnswerForm(BaseModel):
    """What a person is asked for."""

    answer: str = Field(description="Your answer, in a few words.", max_length=200)


def add_agent(server: MCPServer, tools: Tools) -> None:
    """Add the tool of a classifier whose method is the agent."""

    async def agent(
        context: Context, text: Text = "", fields: Fields = None
    ) -> WalkValue | InputRequiredResult:
        """File one item by a walk of a language model, which may ask you about it.

        Where the model asks and nobody answers, the status is `review` and `question` says what.
        """
        try:
            return await _walk(context, tools, item_of(text, fields))
        except CascadeError as error:
            raise ToolError(str(error)) from None

    server.add_tool(
        agent,
        annotations=LOOKS,
        structured_output=True,
    )


async def _walk(
    context: Context, tools: Tools, item: str | dict[str, str]
) -> WalkValue | InputRequiredResult:
    rounds = is_version_at_least(context.protocol_version or "", ROUNDS_SINCE)
    asks = _can_ask(context)
    answered = (context.input_responses or {}).get(ASKED)
    if answered is not None and context.request_state is not None:
        steps = json.loads(context.request_state)["steps"]
        said = _said(answered)
        if said is None:  # as it was when the question came up
            return WalkValue.of(await _in_thread(tools.replay, item, steps))
        found = await _in_thread(tools.resume, item, steps, said)
    else:
        found = await _in_thread(tools.walk, item)
    while found.question and asks:
        message = _message(found, item)
        if rounds:
            form = ElicitRequestFormParams(
                message=message, requested_schema=AnswerForm.model_json_schema()
            )
            return InputRequiredResult(
                input_requests={ASKED: ElicitRequest(params=form)},
                request_state=json.dumps({"steps": steps_as_dicts(found)}),
            )
        told = await context.elicit(message, AnswerForm)
        if told.action != "accept" or not told.data.answer.strip():
            break
        found = await _in_thread(tools.resume, item, found.steps, told.data.answer)
    return WalkValue.of(found)


async def _in_thread(function: Any, *arguments: Any) -> Prediction:
    found: Prediction = await anyio.to_thread.run_sync(partial(function, *arguments))
    return found


def _can_ask(context: Context) -> bool:
    """Whether the client can put a question to somebody."""
    can = context.client_capabilities
    return can is not None and can.elicitation is not None


def _said(response: Any) -> str | None:
    """The answer in what a client sent; None where nobody answered.

    Raises
    ------
    UsageError
        It has not the form that was asked for.
    """
    if not isinstance(response, ElicitResult):
        raise UsageError("the answer is no result of an elicitation")
    if response.action != "accept":
        return None
    said = (response.content or {}).get(ASKED)
    if not isinstance(said, str):
        raise UsageError("the answer has no text in the field `answer`")
    return said if said.strip() else None


def _message(found: Prediction, item: str | dict[str, str]) -> str:
    """The question with what it is about."""
    text = item if isinstance(item, str) else "; ".join(item.values())
    shown = json.dumps(text[:SHOWN], ensure_ascii=False)
    return f"{found.question}? The item: {shown}. So far it looks like {found.path}."
