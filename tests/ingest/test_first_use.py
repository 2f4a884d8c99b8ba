"""Names seen first by many processes at once get one id."""

from functools import partial

from sqlalchemy import text

from app.errors import InvalidRows
from app.ingest.feedback import ingest_feedback
from app.ingest.predictions import ingest_predictions
from app.store.registry import Kind, ModelName
from app.store.series import SeriesName
from tests.ingest.crowd import at_once, databases, new_model, prediction, shuffled, stored, truth

PROCESSES = 16
COUNTS = text("""
    SELECT (SELECT count(*) FROM model WHERE workspace_id = :workspace_id),
           (SELECT count(*) FROM series JOIN model ON model.id = model_id
            WHERE workspace_id = :workspace_id),
           (SELECT count(*) FROM label WHERE workspace_id = :workspace_id)
""")


def counts(database, workspace):
    """Models, series and labels of a workspace."""
    with database.reading() as conn:
        return tuple(conn.execute(COUNTS, {"workspace_id": workspace.id}).one())


def register(database, workspace, seed):
    """Ids by name: each process requests the same names in an order of its own."""
    registry = database.registry
    names = [ModelName("", "", f"model {number}") for number in range(20)]
    models = registry.register_models(
        workspace.id, dict.fromkeys(shuffled(names, seed), Kind.CLASSIFICATION)
    )
    series = registry.series.register(
        SeriesName(models[name].id, "", version, "", "")
        for name in shuffled(names, seed)
        for version in ("1", "2")
    )
    labels = registry.register_labels(workspace.id, shuffled(map(str, range(50)), seed))
    return models, series, labels


def test_many_processes_agree_on_the_ids_of_new_names(database, shared_settings, workspace):
    with databases(shared_settings.database_url, PROCESSES) as opened:
        answers = at_once(*(partial(register, db, workspace, i) for i, db in enumerate(opened)))

    models, series, labels = answers[0]
    assert all(answer == answers[0] for answer in answers)
    assert counts(database, workspace) == (20, 40, 50) == (len(models), len(series), len(labels))


def test_the_first_rows_of_a_model_may_come_from_many_processes(
    database, shared_settings, workspace
):
    """Truths among them, which know no kind yet."""
    model = new_model()
    labels = ["yes", "no", "maybe"]

    def send(index, db):
        if index % 4 == 0:
            return ingest_feedback(db, workspace.id, [truth(model, index + 1, labels[index % 3])])
        return ingest_predictions(db, workspace.id, [prediction(model, index, labels[index % 3])])

    with databases(shared_settings.database_url, PROCESSES) as opened:
        verdicts = at_once(*(partial(send, index, db) for index, db in enumerate(opened)))

    assert [verdict.accepted for verdict in verdicts] == [1] * PROCESSES
    assert counts(database, workspace) == (1, 1, 3)
    assert len(stored(database, workspace, model)) == PROCESSES - PROCESSES // 4


def test_of_two_kinds_claimed_at_once_one_stands(database, shared_settings, workspace):
    """Who lost is refused and leaves no row."""
    model = new_model()
    outputs = [{"label": "yes"}, {"label": None, "value": 1.0}]

    def send(index, db):
        row = prediction(model, index, **outputs[index % 2])
        try:
            return ingest_predictions(db, workspace.id, [row]).accepted
        except InvalidRows:
            return 0

    with databases(shared_settings.database_url, PROCESSES) as opened:
        accepted = at_once(*(partial(send, index, db) for index, db in enumerate(opened)))

    winner = accepted.index(1) % 2
    assert accepted == [int(index % 2 == winner) for index in range(PROCESSES)]
    assert len(stored(database, workspace, model)) == PROCESSES // 2


def classes(database, model_id, label_ids, seed):
    """Places of a model's classes: each process requests them in an order of its own."""
    pairs = [(model_id, label_id) for label_id in label_ids]
    return database.registry.register_classes(shuffled(pairs, seed))


def test_many_processes_number_the_classes_of_a_model_alike(database, shared_settings, workspace):
    name = ModelName("", "", new_model())
    model = database.registry.register_models(workspace.id, {name: Kind.CLASSIFICATION})[name]
    labels = list(database.registry.register_labels(workspace.id, map(str, range(50))).values())
    with databases(shared_settings.database_url, PROCESSES) as opened:
        # each begins with other classes, so that they meet half-way
        tasks = [partial(classes, db, model.id, labels[i:], i) for i, db in enumerate(opened)]
        answers = at_once(*tasks)

    places = classes(database, model.id, labels, seed=0)
    assert sorted(places.values()) == list(range(1, 51))
    assert all(answer.items() <= places.items() for answer in answers)
