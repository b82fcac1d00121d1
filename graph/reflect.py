"""REFLECT: compare what was intended with what was done, score what was decided before, and learn from both.

It runs after every outcome, a failed run's too, and must not fail a run that already traded: what it cannot read it
leaves out.
"""

from __future__ import annotations

from langgraph.runtime import Runtime

from brokers.errors import BrokerError
from graph.failure import describe
from graph.history import keep_look
from graph.learn.learn import Learned, learn
from graph.reflection import reflection_of, write_reflection
from graph.scoring import keep_and_score
from graph.sense import read_snapshot
from graph.state import Context, State
from portfolio.models import PortfolioSnapshot


async def reflect(state: State, runtime: Runtime[Context]) -> State:
    context, notes, learned = runtime.context, [*state.get("notes", ())], Learned()
    after = await _look_again(state, context)
    whole: State = state if after is None else {**state, "snapshot_after": after}
    try:
        if after and state.get("orders"):
            keep_look(after, context.settings, state["run_id"], context.journal)
        scores = await keep_and_score(state, context)
        learned = await learn(whole, scores, runtime)
    except Exception as error:  # noqa: BLE001  (whatever it is, the run has traded, and its record is to be kept)
        notes.append(f"Nothing could be kept or learned of this run ({describe('reflect', error).message}).")
    reflection = reflection_of(whole, learned.statements, context)
    if context.settings.save_reflections:
        try:
            write_reflection(reflection, context.reflections)
        except OSError as error:
            notes.append(f"The reflection could not be written to {context.reflections} ({error.strerror}).")
    if learned.trouble:
        notes.append(learned.trouble)
    update: State = {"reflection": reflection, "notes": tuple(notes)}
    if after:
        update["snapshot_after"] = after
    if learned.spent:
        update["thought"] = state["thought"].model_copy(update={"usage": learned.spent})
    return update


async def _look_again(state: State, context: Context) -> PortfolioSnapshot | None:
    """The account after the orders; where none was sent it is as it was, and where it cannot be read, None."""
    before = state.get("snapshot")
    if before is None or not state.get("orders"):
        return before
    try:
        return await read_snapshot(before.account, context.reader, context.settings)
    except BrokerError:
        return None
