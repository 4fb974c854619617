"""The project's tables for peewee, unbound: several projects may be open, so each query names its database.

The tables themselves are made by the SQL in `migrations`; what is here only describes the newest version of them.
"""

from collections.abc import Mapping
from typing import Any

import apsw
import peewee
from playhouse.apsw_ext import APSWDatabase

from core.storable import storable


class ProjectDatabase(APSWDatabase):
    """peewee over a connection that was opened, checked and limited elsewhere."""

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__(connection.filename, thread_safe=False)  # the door has a lock
        self._given = connection
        self.connect()

    def _connect(self) -> apsw.Connection:
        return self._given

    def add(self, table: str, values: Mapping[str, Any], verb: str = "INSERT") -> int:
        """Inserts a row and returns its id; "REPLACE" puts it in the place of one with its key.

        For what is written by the hundred thousand: peewee takes ten times as long to word the statement.
        """
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        row = tuple(storable(value) if isinstance(value, str) else value for value in values.values())
        self.execute_sql(f"{verb} INTO {table} ({columns}) VALUES ({marks})", row)
        return self._given.last_insert_rowid()


class Text(peewee.TextField):
    """Text of any origin."""

    def db_value(self, value: Any) -> Any:
        return storable(value) if isinstance(value, str) else value


class ProjectTable(peewee.Model):
    id = Text(primary_key=True)
    created_at = Text()
    app_version = Text()

    class Meta:
        table_name = "project"


class DocumentTable(peewee.Model):
    id = peewee.AutoField()
    sha256 = Text()
    path = Text()
    title = Text()
    state = Text()
    reason = Text()
    page_count = peewee.IntegerField()
    passage_count = peewee.IntegerField()
    warnings = Text()
    metadata = Text()
    outline = Text()
    passage_size = peewee.IntegerField()
    overlap = peewee.IntegerField()
    added_at = Text()

    class Meta:
        table_name = "documents"


class PageTable(peewee.Model):
    id = peewee.AutoField()
    document_id = peewee.IntegerField()
    number = peewee.IntegerField()
    label = Text()
    width = peewee.FloatField()
    height = peewee.FloatField()
    warnings = Text()
    furniture = Text()
    text = Text()
    words = peewee.BlobField()

    class Meta:
        table_name = "pages"


class PassageTable(peewee.Model):
    id = peewee.AutoField()
    document_id = peewee.IntegerField()
    ordinal = peewee.IntegerField()
    section = Text()
    parts = Text()
    text = Text()

    class Meta:
        table_name = "passages"


class RunTable(peewee.Model):
    id = peewee.AutoField()
    kind = Text()
    state = Text()
    started_at = Text()
    ended_at = Text(null=True)
    reason = Text()
    model_path = Text()
    model_name = Text()
    model_sha256 = Text()
    quantisation = Text()
    prompt_style = Text()
    prompt_version = Text()
    prompts = Text()
    settings = Text()
    seed = peewee.IntegerField()
    app_version = Text()
    engine_version = Text()
    usage = Text()

    class Meta:
        table_name = "runs"


class ExampleTable(peewee.Model):
    id = peewee.AutoField()
    run_id = peewee.IntegerField()
    passage_id = peewee.IntegerField(null=True)
    slot = peewee.IntegerField()
    document_id = peewee.IntegerField(null=True)
    state = Text()
    kind = Text()
    rating = peewee.IntegerField()
    attempts = peewee.IntegerField()
    created_at = Text()
    edited_at = Text()
    reason = Text()
    context = Text()
    question = Text()
    answer = Text()
    choices = Text()
    draft_question = Text()
    draft_answer = Text()
    draft_choices = Text()
    rationale = Text()
    rationale_draft = peewee.IntegerField()
    rejected = Text()
    origin = Text()

    class Meta:
        table_name = "examples"


class RationaleTable(peewee.Model):
    id = peewee.AutoField()
    run_id = peewee.IntegerField()
    example_id = peewee.IntegerField()
    slot = peewee.IntegerField()
    instruction = Text()
    steps = Text()

    class Meta:
        table_name = "rationales"


class ScoreTable(peewee.Model):
    run_id = peewee.IntegerField()
    example_id = peewee.IntegerField()
    name = Text()
    value = peewee.FloatField()
    detail = Text()

    class Meta:
        table_name = "scores"
        primary_key = peewee.CompositeKey("run_id", "example_id", "name")


class PassageMarkTable(peewee.Model):
    passage_id = peewee.IntegerField(primary_key=True)
    label = peewee.IntegerField(null=True)
    value = peewee.FloatField(null=True)
    set_aside = peewee.IntegerField()

    class Meta:
        table_name = "passage_marks"


class PickTable(peewee.Model):
    id = peewee.AutoField()
    name = Text()
    created_at = Text()
    recipe = Text()
    size = peewee.IntegerField()

    class Meta:
        table_name = "picks"


class PickRowTable(peewee.Model):
    pick_id = peewee.IntegerField()
    baseline = peewee.IntegerField()
    ordinal = peewee.IntegerField()
    example_id = peewee.IntegerField()
    reason = Text()

    class Meta:
        table_name = "pick_rows"
        primary_key = peewee.CompositeKey("pick_id", "baseline", "ordinal")


class FoldedTable(peewee.Model):
    example_id = peewee.IntegerField(primary_key=True)
    text = peewee.BlobField()

    class Meta:
        table_name = "folded"


class EvidenceTable(peewee.Model):
    example_id = peewee.IntegerField(primary_key=True)
    page = peewee.IntegerField()
    start = peewee.IntegerField()
    stop = peewee.IntegerField()
    rectangles = Text()
    text = Text()

    class Meta:
        table_name = "evidence"


class CheckTable(peewee.Model):
    example_id = peewee.IntegerField()
    name = Text()
    passed = peewee.IntegerField()
    score = peewee.FloatField(null=True)
    detail = Text()

    class Meta:
        table_name = "checks"
        primary_key = peewee.CompositeKey("example_id", "name")


class DiscardTable(peewee.Model):
    run_id = peewee.IntegerField()
    passage_id = peewee.IntegerField()
    slot = peewee.IntegerField()
    kind = Text()
    reason = Text()

    class Meta:
        table_name = "discards"
        primary_key = peewee.CompositeKey("run_id", "passage_id", "slot")


class EmbeddingTable(peewee.Model):
    id = peewee.AutoField()
    model_sha256 = Text()
    text_sha256 = Text()
    vector = peewee.BlobField()

    class Meta:
        table_name = "embeddings"


class ProbeItemTable(peewee.Model):
    run_id = peewee.IntegerField()
    ordinal = peewee.IntegerField()
    key = Text()
    stem = Text()
    content = Text()

    class Meta:
        table_name = "probe_items"
        primary_key = peewee.CompositeKey("run_id", "ordinal")


class ProbeResponseTable(peewee.Model):
    run_id = peewee.IntegerField()
    ordinal = peewee.IntegerField()
    arm = Text()
    turn = peewee.IntegerField()
    text = Text()
    chosen = peewee.IntegerField(null=True)
    scores = Text()

    class Meta:
        table_name = "probe_responses"
        primary_key = peewee.CompositeKey("run_id", "ordinal", "arm", "turn")


class SuiteTable(peewee.Model):
    id = peewee.AutoField()
    name = Text()
    protocol = Text()
    source = Text()
    sha256 = Text()
    mapping = Text()
    added_at = Text()
    questions = Text()

    class Meta:
        table_name = "suites"


class DatasetTable(peewee.Model):
    id = peewee.AutoField()
    name = Text()
    created_at = Text()
    sha256 = Text()
    recipe = Text()
    size = peewee.IntegerField()
    held_out = peewee.IntegerField()
    test = peewee.IntegerField()

    class Meta:
        table_name = "datasets"


class DatasetRowTable(peewee.Model):
    dataset_id = peewee.IntegerField()
    ordinal = peewee.IntegerField()
    example_id = peewee.IntegerField(null=True)
    split = peewee.IntegerField()
    content = Text()

    class Meta:
        table_name = "dataset_rows"
        primary_key = peewee.CompositeKey("dataset_id", "ordinal")


class TuningStepTable(peewee.Model):
    run_id = peewee.IntegerField()
    step = peewee.IntegerField()
    epoch = peewee.FloatField()
    loss = peewee.FloatField(null=True)
    learning_rate = peewee.FloatField()
    gradient = peewee.FloatField()
    tokens = peewee.IntegerField()
    seconds = peewee.FloatField()
    memory = peewee.IntegerField()
    held_out = peewee.FloatField(null=True)
    accuracy = peewee.FloatField(null=True)

    class Meta:
        table_name = "tuning_steps"
        primary_key = peewee.CompositeKey("run_id", "step")


class TuningSampleTable(peewee.Model):
    run_id = peewee.IntegerField()
    step = peewee.IntegerField()
    prompt = peewee.IntegerField()
    text = Text()

    class Meta:
        table_name = "tuning_samples"
        primary_key = peewee.CompositeKey("run_id", "step", "prompt")


class AdapterTable(peewee.Model):
    id = peewee.AutoField()
    run_id = peewee.IntegerField()
    name = Text()
    created_at = Text()
    step = peewee.IntegerField()
    best_loss = peewee.FloatField(null=True)
    rank = peewee.IntegerField()
    alpha = peewee.FloatField()
    scale = peewee.FloatField()
    sha256 = Text()
    size = peewee.IntegerField()
    path = Text()
    content = peewee.BlobField(null=True)

    class Meta:
        table_name = "adapters"


class ActionTable(peewee.Model):
    id = peewee.AutoField()
    at = Text()
    label = Text()
    undone = peewee.IntegerField()

    class Meta:
        table_name = "actions"


class ChangeTable(peewee.Model):
    action_id = peewee.IntegerField()
    example_id = peewee.IntegerField()
    field = Text()
    before = Text()
    after = Text()

    class Meta:
        table_name = "changes"
        primary_key = peewee.CompositeKey("action_id", "example_id", "field")
