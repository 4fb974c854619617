"""What a context of a model is made for, which decides the memory that it takes. No native code."""

from dataclasses import dataclass

BATCH = 512  # tokens evaluated at once: bounds the wait for a cancel where a decode cannot be interrupted
MOST_SEQUENCES = 256  # llama.cpp's own limit
MANY_CELLS = 4_096  # of one sequence
LEAST_CELLS = 256  # of a sequence: llama.cpp rounds up to a multiple of it


@dataclass(frozen=True)
class Shape:
    """What a context is made for."""

    sequences: int
    cells: int  # tokens that the KV cache holds, of all sequences together
    outputs: int  # tokens of one decode whose logits are wanted: more abort the process, room for them costs memory
    batch: int = BATCH  # tokens of one decode
    # Whether the sequences have one cache in common, so that a token may belong to several of them and a prefix to all
    # without a copy. Each decode then looks at the cells of all: apart, a batch that generates is faster.
    shared: bool = False
    exact: bool = False  # whether the cache holds whole numbers of 32 bits, where that can be (on the CPU)
    cache: str = "f16"  # its type otherwise, or q8_0
    flash: bool | None = None  # flash attention; None = where the model is on a graphics card
    # Whether layers that see only a window remember everything all the same, so that a prefix can be taken up again.
    whole_windows: bool = True
    # Whether it gives one vector for each sequence in place of logits.
    vectors: bool = False
    mean: bool = False  # of the last hidden states, where the model names no way of its own

    @property
    def streams(self) -> int:
        """Parts of the cache that know nothing of each other."""
        return 1 if self.shared else self.sequences

    @property
    def stream_cells(self) -> int:
        """Cells that one sequence may attend to."""
        return padded(self.cells // self.streams)

    @property
    def together(self) -> int:
        """Tokens that are evaluated at once.

        Without flash attention a matrix of these with all cells of a sequence is made for each head: of few with many.
        """
        most = BATCH if self.flash else max(BATCH // 16, BATCH * MANY_CELLS // max(self.stream_cells, MANY_CELLS))
        return min(self.batch, most, self.cells)


def padded(cells: int) -> int:
    """As llama.cpp rounds."""
    return -(-cells // LEAST_CELLS) * LEAST_CELLS
