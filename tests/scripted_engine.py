"""An engine that writes commands as a script says, held to what is allowed as a grammar would."""

from cascade.errors import EngineError
from cascade.generation.engine import Command
from cascade.generation.engines.token_engine import command_in, constraint_of


class ScriptedEngine:
    """Writes the commands of a script in turn, or what a function makes of each prompt.

    Attributes
    ----------
    asked
        All that it was asked.
    """

    name, reads_pictures = "scripted", False

    def __init__(self, script, tokens=10):
        self.asked = []
        self._script = script if callable(script) else self._in_turn(list(script))
        self._tokens = tokens

    @staticmethod
    def _in_turn(script):
        return lambda one: script.pop(0)

    def command(self, asked):
        found = []
        for one in asked:
            self.asked.append(one)
            written = self._script(one)
            if isinstance(written, EngineError):
                found.append(written)
            else:
                text = command_in(constraint_of(one), f"{one.lead}{written}{one.prompt.end}")
                found.append(Command(text, self._tokens))
        return found


def prompts_of(engine):
    """What the model was shown, as text."""
    return [one.prompt.start for one in engine.asked]
