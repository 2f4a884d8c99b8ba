"""Truths of stored predictions, which most truths are: joined without locks on requests.

First those of predictions without a truth, in one statement: it changes only keys without one, and
an UPDATE that waited for another writer looks at the key again. Then repeated ones and corrections,
with their keys locked. The owner of a request (`app/ingest/keys.py`) has locked the keys of its
predictions too, so neither can count a truth in between.

Truths of unknown predictions, and those for which a different one is pending, are left to the
caller.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from sqlalchemy import Connection, text

from app.errors import Unavailable
from app.ingest.outcomes import KNOWN, appended, class_of, learning
from app.store.outages import is_deadlock

# That many requests are owned faster than it takes to find out which must be.
FEW = 20
Stored = TypeVar("Stored")


class OvertakenError(Exception):
    """Another series answered one of the requests at this moment."""


def directly_or_owned(number: int, store: Callable[[bool], Stored]) -> Stored:
    """What `store(True)` returns, which may call `learn_stored`; or, if that fails, `store(False)`.

    Each is a transaction of its own. The second one owns all requests from the beginning, and so
    does the first if there are FEW.
    """
    if number > FEW:
        try:
            return store(True)
        except OvertakenError:
            pass
        except Unavailable as error:
            if not is_deadlock(error):
                raise
    return store(False)


def learn_stored(conn: Connection, number: int, model_ids: Iterable[int]) -> tuple[int, int]:
    """Join staged truths with stored predictions; returns how many there were, and how many news.

    The others stay in `staged_feedback`, which had `number` truths of these models. If there are
    none, it isn't emptied.

    Raises:
        OvertakenError: the transaction must be repeated without this.
    """
    models = {"model_ids": list(model_ids)}
    known = news = 0
    for statement in (_LEARN, _CORRECT):
        if known < number:
            found, changed, places = conn.execute(statement, models).one()
            known, news = known + found, news + changed
            if known < number and places:
                conn.execute(_LEAVE_OTHERS, {"places": places})
    if known and conn.execute(_IS_OVERTAKEN, models).scalar_one():
        raise OvertakenError
    return known, news


# A truth that is pending is older than a staged one, and must be deleted, or it would replace it.
# Most models have none: then none is looked for.
_IS_PENDING = """
    EXISTS (SELECT FROM pending_feedback WHERE model_id = ANY (:model_ids))
    AND EXISTS (SELECT FROM pending_feedback AS f
                WHERE (f.model_id, f.key, f.batch_index) = (s.model_id, s.key, s.batch_index)
                OFFSET 0)
"""
# How many truths were known, how many were news, and the places of the former unless they are all.
_COUNTED = """
    SELECT count(DISTINCT nth), {news},
           CASE WHEN count(DISTINCT nth) < (SELECT count(*) FROM staged_feedback)
                THEN array_agg(DISTINCT place)::text END
    FROM {known}
"""
# In the order of time, in which an index of outcomes is filled fastest.
_FIRST_ONES = appended(
    "learned",
    "clock_timestamp()",
    "ORDER BY changed.time",
    "(changed.actual_label, changed.actual_value, 1, changed.class_label)",
)
_DECLARED, _CLASS = class_of("k", "= ANY (:model_ids)")
_LEARN = text(f"""
    WITH {_DECLARED},
    learned AS (
        UPDATE prediction_key AS k
        SET actual_label = s.actual_label, actual_value = s.actual_value, class_label = {_CLASS}
        FROM staged_feedback AS s
        WHERE (k.model_id, k.key, k.batch_index) = (s.model_id, s.key, s.batch_index)
          AND num_nonnulls(k.actual_label, k.actual_value) = 0
          AND (k.predicted_label IS NULL) = (s.actual_label IS NULL)
          AND (k.predicted_value IS NULL) = (s.actual_value IS NULL)
          AND NOT ({_IS_PENDING})
        RETURNING k.*, s.request_id, s.nth, s.ctid AS place
    ),
    {_FIRST_ONES}
    {_COUNTED.format(news="count(DISTINCT nth)", known="learned")}
""")
_CORRECT = text(f"""
    WITH {KNOWN.format(staged="staged_feedback", more=", s.nth, s.ctid AS place")}
          AND NOT ({_IS_PENDING})
    ),
    {learning()}
    {_COUNTED.format(news="(SELECT count(DISTINCT nth) FROM changed)", known="known")}
""")
# Several series may have answered a request, and all answers have the same truth. One that was
# stored while a statement waited for a lock was not seen by it, and `_LEARN` leaves answers that
# have a truth. So they are read once the keys are locked; who answers later waits for them.
_IS_OVERTAKEN = text("""
    SELECT EXISTS (
        SELECT FROM staged_feedback AS s
        CROSS JOIN LATERAL (
            SELECT FROM prediction_key AS k
            WHERE (k.model_id, k.key, k.batch_index) = (s.model_id, s.key, s.batch_index)
              AND num_nonnulls(k.predicted_label, k.predicted_value) = 1
            HAVING count(DISTINCT ROW(k.actual_label, k.actual_value)) > 1
        ) AS answers
        WHERE EXISTS (SELECT FROM series WHERE model_id = ANY (:model_ids) AND tags = '{}'
                      GROUP BY model_id HAVING count(*) > 1)
    )
""")
_LEAVE_OTHERS = text("""
    DELETE FROM staged_feedback WHERE ctid = ANY (CAST(:places AS tid[]))
""")
