"""What other tools read of an export: the datasets library, LLaMA-Factory's and Axolotl's settings, TRL's columns."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.datasets import freeze
from core.errors import UserError
from core.exchange.export import Exported, export
from core.exchange.formats import SHAPES
from core.project.project import Project
from core.project.records import ExampleDraft, Step
from core.project.tuning import SPLITS
from tests.core.project.project_material import make_document, make_draft, make_passages, make_settings

QUESTION = 'Who said "=1", and\nwhy, {}?'
SIZES = {"train": 16, "validation": 2, "test": 2}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Twenty accepted examples, one of which has evidence, steps and a rating; frozen as “all”."""
    with Project.create(tmp_path / "test.elenchus") as project:
        project.add_document(make_document(), make_passages(), 1200, 200)
        run = project.start_run(make_settings("import"))
        drafts = [
            ExampleDraft(None, n, "imported", QUESTION.format(n), f"{n}, 'so'.", None, rejected=f"not {n}")
            for n in range(19)
        ]
        drafts.append(make_draft(19, rationale=(Step("One."), Step("Two.")), rejected="No.", rating=4))
        project.add_examples(run, drafts, "accepted")
        project.finish_run(run, "finished", {})
        freeze(project, "accepted", 0.1, test=0.1, name="all")
        yield project


def finish(items: Iterable[Exported]) -> Exported:
    return list(items)[-1]


@pytest.fixture(scope="session")
def load_dataset(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The datasets library, as a user has it who is offline."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        from datasets import load_dataset  # which looks at them once
    return load_dataset


def loaded(load_dataset: Any, folder: Path, *args: str, **how: Any) -> Any:
    return load_dataset(*args, cache_dir=str(folder / "cache"), **how)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_datasets_library_loads_json_lines_of_every_shape(
    project: Project, tmp_path: Path, load_dataset: Any, shape: str
) -> None:
    out = tmp_path / "rows.jsonl"
    finish(export(project, out, shape))
    rows = loaded(load_dataset, tmp_path, "json", data_files=str(out), split="train")
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(lines) == 20
    texts = [name for name in lines[0] if isinstance(lines[0][name], str)]
    assert [{name: row[name] for name in texts} for row in rows] == [
        {name: line[name] for name in texts} for line in lines
    ]
    assert json.loads(rows[19]["elenchus"])["rating"] == 4


def test_it_loads_json_lines_whose_first_block_tells_less_than_the_next(
    project: Project, tmp_path: Path, load_dataset: Any
) -> None:
    out = tmp_path / "rows.jsonl"
    finish(export(project, out, "messages"))
    beginning = out.read_text(encoding="utf-8")[:2000]
    assert '\\"evidence\\": null' in beginning
    assert '\\"evidence\\": {' not in beginning
    rows = loaded(load_dataset, tmp_path, "json", data_files=str(out), split="train", chunksize=2000)
    assert json.loads(rows[0]["elenchus"])["evidence"] is None
    assert json.loads(rows[19]["elenchus"])["evidence"]["text"]


def test_it_loads_csv_and_parquet(project: Project, tmp_path: Path, load_dataset: Any) -> None:
    finish(export(project, tmp_path / "rows.csv", "csv"))
    rows = loaded(load_dataset, tmp_path, "csv", data_files=str(tmp_path / "rows.csv"), split="train")
    assert rows[3]["question"] == QUESTION.format(3)
    finish(export(project, tmp_path / "rows.parquet", "parquet", shape="dpo-messages"))
    rows = loaded(load_dataset, tmp_path, "parquet", data_files=str(tmp_path / "rows.parquet"), split="train")
    assert rows[3]["rejected"] == [{"role": "assistant", "content": "not 3"}]
    assert json.loads(rows[19]["elenchus"])["rating"] == 4


def test_it_loads_a_folder_with_its_splits(project: Project, tmp_path: Path, load_dataset: Any) -> None:
    done = finish(export(project, tmp_path / "mine", "folder", dataset="all"))
    rows = loaded(load_dataset, tmp_path, str(done.path))
    assert {split: len(rows[split]) for split in rows} == SIZES
    frozen = {row.messages[-1][1]: row.split for row in project.dataset_rows(done.dataset.id if done.dataset else 0)}
    assert {row["messages"][-2]["content"]: split for split in rows for row in rows[split]} == frozen
    head = yaml.safe_load((done.path / "README.md").read_text(encoding="utf-8").split("---")[1])
    files = [{"split": split, "path": f"data/{split}-*"} for split in SPLITS]
    assert head["configs"] == [{"config_name": "default", "data_files": files}]
    card = done.card.read_text(encoding="utf-8")
    assert "of the dataset “all”" in card
    assert "| validation | 2 |" in card
    assert "19 come from files, and were compared with no document." in card
    assert f"SHA-256 {project.dataset('all').sha256}" in card


def test_a_folder_is_replaced_only_by_an_export_of_the_same_kind(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    finish(export(project, out, "folder", dataset="all"))
    assert finish(export(project, out, "folder", dataset="all", split="test")).rows == 2
    assert [path.name for path in (out / "data").iterdir()] == ["test-00000-of-00001.parquet"]
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="is there already, and is no export"):
        finish(export(project, out, "folder"))
    assert (out / "notes.txt").exists()
    for other in (tmp_path / "file", tmp_path / "folder"):
        other.mkdir() if other.name == "folder" else other.write_text("x", encoding="utf-8")
    (tmp_path / "folder" / "README.md").write_text("# Mine", encoding="utf-8")
    for name in ("file", "folder"):
        with pytest.raises(UserError, match="is there already, and is no export"):
            finish(export(project, tmp_path / name, "folder"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("mine")) == ["mine"]


FACTORY_ROWS = {
    "alpaca": ({"prompt": "instruction", "query": "input", "response": "output"}, None),
    "sharegpt": ({"messages": "conversations"}, "sharegpt"),
    "messages": ({"messages": "messages"}, "sharegpt"),
    "completion": ({"prompt": "prompt", "response": "completion"}, None),
    "dpo": ({"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}, None),
}


@pytest.mark.parametrize("shape", FACTORY_ROWS)
def test_llama_factory_finds_every_column_that_it_is_told(project: Project, tmp_path: Path, shape: str) -> None:
    columns, formatting = FACTORY_ROWS[shape]
    out = tmp_path / "set" / "rows.jsonl"
    out.parent.mkdir()
    done = finish(export(project, out, shape, configs=("llama-factory",)))
    assert [path.name for path in done.configs] == ["dataset_info.json", "rows.llama-factory.yaml"]
    info = json.loads((out.parent / "dataset_info.json").read_text(encoding="utf-8"))["rows"]
    row = json.loads(out.read_text(encoding="utf-8").splitlines()[0])
    assert info["file_name"] == "rows.jsonl"
    assert columns.items() <= info["columns"].items()
    assert {columns[name] for name in columns} <= row.keys()
    assert (info.get("formatting"), bool(info.get("ranking"))) == (formatting, shape == "dpo")
    if formatting:
        turn, tags = row[columns["messages"]][0], info.get("tags", {"role_tag": "from", "content_tag": "value"})
        assert {tags["role_tag"], tags["content_tag"]} == turn.keys()
        assert turn[tags["role_tag"]] == tags.get("user_tag", "human")
    told = yaml.safe_load(done.configs[1].read_text(encoding="utf-8"))
    assert (told["stage"], told["dataset"], told["dataset_dir"]) == (
        "dpo" if shape == "dpo" else "sft", "rows", str(out.parent),
    )  # fmt: skip
    assert told["learning_rate"] == (5e-6 if shape == "dpo" else 2e-4)
    assert {"model_name_or_path", "template", "output_dir", "lora_rank", "num_train_epochs"} <= told.keys()


@pytest.mark.parametrize("shape", [*FACTORY_ROWS, "dpo-messages"])
def test_axolotl_finds_every_field_that_it_is_told(project: Project, tmp_path: Path, shape: str) -> None:
    done = finish(export(project, tmp_path / "rows.jsonl", shape, configs=("axolotl",)))
    told = yaml.safe_load(done.configs[0].read_text(encoding="utf-8"))
    row = json.loads(done.path.read_text(encoding="utf-8").splitlines()[0])
    (data,) = told["datasets"]
    assert (data["path"], data["ds_type"]) == ("rows.jsonl", "json")
    kind = data["type"] if isinstance(data["type"], dict) else data
    assert {value for key, value in kind.items() if key.startswith("field_")} <= row.keys()
    assert told.get("rl") == ("dpo" if shape.startswith("dpo") else None)
    assert {"base_model", "adapter", "micro_batch_size", "num_epochs", "learning_rate"} <= told.keys()


def test_a_folders_validation_is_looked_at_and_its_test_left_alone(project: Project, tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text('{"theirs": {"file_name": "x.json"}}', encoding="utf-8")
    done = finish(export(project, tmp_path / "mine", "folder", dataset="all", configs=("llama-factory", "axolotl")))
    info = json.loads((tmp_path / "dataset_info.json").read_text(encoding="utf-8"))
    assert list(info) == ["theirs", "mine", "mine_validation", "mine_test"]
    factory, axolotl = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in done.configs[1:])
    assert (factory["dataset"], factory["eval_dataset"]) == ("mine", "mine_validation")
    told = json.dumps(axolotl)
    assert axolotl["test_datasets"][0]["path"] == "mine/data/validation-00000-of-00001.parquet"
    assert "data/test" not in told
    for name in ("mine", "mine_validation", "mine_test"):
        assert (tmp_path / info[name]["file_name"]).is_file()
    (tmp_path / "dataset_info.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match="is not as LLaMA-Factory has it"):
        finish(export(project, tmp_path / "mine", "folder", configs=("llama-factory",)))


@pytest.mark.parametrize(("tool", "format"), [("llama-factory", "two-task"), ("axolotl", "csv"), ("trl", "dpo")])
def test_what_a_tool_cannot_read_is_refused_before_anything_is_written(
    project: Project, tmp_path: Path, tool: str, format: str
) -> None:
    with pytest.raises(UserError, match=r"cannot be told how to read|no configuration for “trl”"):
        finish(export(project, tmp_path / "out", format, configs=(tool,)))
    assert not (tmp_path / "out").exists()
