"""What is to be tuned and how, and what is told meanwhile: plain data, without torch in sight."""

from dataclasses import dataclass, field

from core.errors import UserError

OBJECTIVES = ("sft", "two-task", "dpo")
LEARNING_RATES = {"sft": 2e-4, "two-task": 2e-4, "dpo": 5e-6}
DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16")
OVERLONG = ("drop", "cut")


@dataclass(frozen=True)
class Recipe:
    """Every choice of a tuning run that bears on what comes of it. Lengths are tokens."""

    objective: str = "sft"
    rank: int = 16
    alpha: float = 32.0
    rank_stabilised: bool = False  # scale alpha/√rank (rsLoRA, arXiv 2312.03732) in place of alpha/rank
    learning_rate: float = 2e-4
    epochs: float = 3.0
    batch: int = 8  # examples a step
    context: int = 1024  # the longest example
    overlong: str = "drop"  # what becomes of longer ones; cut: the beginning of the prompt goes
    packing: bool = True  # examples share a pass up to `context` tokens, and do not see each other
    warmup: float = 0.06  # share of the steps
    weight_decay: float = 0.0
    clip: float = 1.0  # of the gradient's norm
    dropout: float = 0.0
    noise: float = 0.0  # NEFTune's alpha (arXiv 2310.05914)
    rationale_weight: float = 0.5  # λ of the two-task objective
    beta: float = 0.1  # of DPO
    evaluations: int = 4  # of the held-out loss, an epoch
    patience: int = 3  # evaluations without a better one before it stops; 0: never
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 0  # 0: as many as there are cores
    seed: int = 0


class AllTooLong(UserError):
    """No example is within the context."""


@dataclass(frozen=True)
class TrainingRow:
    """One example as it is trained on: what is said, and the answer to it."""

    messages: tuple[tuple[str, str], ...]  # (role, text), the user's last
    answer: str
    rejected: str = ""  # DPO: the answer that is worse
    rationale: str = ""  # two-task: the steps to the answer


@dataclass(frozen=True)
class Estimate:
    """What a run will take, before it begins. Sizes are bytes."""

    memory: int  # the most at any time: weights, adapter, optimiser, activations
    available: int
    seconds: float
    tokens_per_second: float
    tokens: int  # an epoch's
    device: str
    dtype: str
    dense_layers: int  # kept unpacked, for there is memory
    layers: int
    recompute: bool  # activations are computed again in the backward pass, for there is no memory to keep them

    @property
    def fits(self) -> bool:
        return self.memory <= self.available


@dataclass(frozen=True)
class Prepared:
    """What there is to train on, counted in the model's own tokens."""

    examples: int
    held_out: int
    dropped: int  # longer than the context
    cut: int
    tokens: int  # of all examples that are left, once
    answer_tokens: int  # of those, the ones that are learned
    longest: int
    steps: int
    estimate: Estimate
    lacking: int = 0  # without the worse answer (left out) or the rationale (the answer alone is learned)
    done: int = 0  # of the steps, before: of a run that goes on


@dataclass(frozen=True)
class Agreement:
    """How far torch and llama.cpp agree on a text: the gate before every run."""

    architecture: str
    kl: float  # nats a token, mean
    relative_l2: float
    top1: float  # share of tokens for which both think the same token likeliest
    tokens: int
    limit: float = 0.02

    @property
    def passed(self) -> bool:
        return self.kl <= self.limit  # also false where it is no number


@dataclass(frozen=True)
class Stepped:
    """One step of the optimiser."""

    step: int  # counted from 1
    steps: int  # of all
    epoch: float
    loss: float  # nats a learned token; DPO: of a pair
    learning_rate: float
    gradient: float  # its norm before it was clipped
    tokens: int  # read in this step
    seconds: float
    memory: int  # bytes, the most so far


@dataclass(frozen=True)
class Evaluated:
    """The loss on what was held out, after a step; 0 is before the first."""

    step: int
    loss: float
    best: bool
    accuracy: float | None = None  # DPO: share of pairs of which the chosen answer gained more


@dataclass(frozen=True)
class Sampled:
    """The answer to a sample prompt with the adapter as it was after a step; 0 is the base model."""

    step: int
    prompt: int  # its place among the run's
    text: str


@dataclass(frozen=True)
class Checkpointed:
    """All that is needed to go on from here is on the disk."""

    step: int


@dataclass(frozen=True)
class Trained:
    """The end. `why`: finished, early (the held-out loss no longer fell) or stopped."""

    step: int
    best_step: int
    best_loss: float | None  # held out; None where nothing was
    why: str


TuningItem = Prepared | Agreement | Stepped | Evaluated | Sampled | Checkpointed | Trained


@dataclass(frozen=True)
class TuningJob:
    """All that the child needs to know of a run."""

    rows: tuple[TrainingRow, ...]
    held_out: tuple[TrainingRow, ...]
    recipe: Recipe
    folder: str  # of its checkpoint, which it goes on from when there is one
    prompts: tuple[str, ...] = ()  # answered before, during and after
    targets: tuple[str, ...] = field(default=())  # kinds of matrices that are adapted; empty: all linear layers
