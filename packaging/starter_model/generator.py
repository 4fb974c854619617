"""Makes short passages about made-up people, places and things, and every task the app gives on them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
PROMPTS = HERE.parents[1] / "resources" / "prompts" / "starter"
NOT_IN_TEXT = "Not in the text."
SLOT = re.compile(r"\{(\w+)\}")
POSSESSIVE = {"it": "its", "he": "his", "she": "her", "they": "their"}
# Topics whose name does not stand for all of their subjects: a canal is no road.
NO_NOUN = ("term", "device", "weather", "well", "star", "museum", "road", "law")
CONJUGATIONS = ("do", "does", "doing", "did")
VOWELS = "aaaeeeiioou"
STARTS = re.findall(r"\w+", "b b br c d d f g gr h j k l l m m n n p r r s s st t t th tr v w z")
ENDS = ["", "", "", "", "l", "l", "n", "n", "r", "r", "s", "t", "m", "nd", "rn", "ck"]


@dataclass(frozen=True)
class Ask:
    """One question pattern of a sentence: its kind, the answer slot and the ways to ask."""

    kind: str
    answer: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Pattern:
    """One fact in several wordings, with its questions."""

    sentences: tuple[str, ...]
    asks: tuple[Ask, ...]


@dataclass(frozen=True)
class Topic:
    """What one kind of thing is called and what can be said about it."""

    name: str
    pronoun: str
    subjects: tuple[str, ...]
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True)
class Item:
    """A question about a passage, with everything the tasks need to know of it."""

    kind: str
    answer: str
    questions: tuple[str, ...]
    sentence: str
    claim: str
    lie: str


@dataclass
class Passage:
    """A generated text with the questions it answers and some that it does not."""

    text: str = ""
    items: list[Item] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def unique(self) -> list[Item]:
        """The items whose answer stands in the text exactly once, so that it points at one question."""
        return [i for i in self.items if len(re.findall(rf"(?<!\w){re.escape(i.answer)}(?!\w)", self.text)) == 1]


@dataclass(frozen=True)
class Task:
    """What the app sends after the passage, and the reply it should get."""

    name: str
    prompt: str
    reply: str
    accepted: tuple[str, ...] = ()


@cache
def grammar() -> dict[str, list[str]]:
    """The choices of each slot."""
    lines = (HERE / "grammar.txt").read_text("utf-8").splitlines()
    pairs = (line.split(": ", 1) for line in lines if line and not line.startswith("#"))
    return {name: choices.split(" | ") for name, choices in pairs}


@cache
def words() -> list[str]:
    """English words that stand in for nouns and adjectives, so that any word must be copied."""
    return [w for w in (HERE / "words.txt").read_text("utf-8").split("\n") if w and not w.startswith("#")]


@cache
def reserved() -> frozenset[str]:
    """Invented names of the sample document, which training never shows."""
    return frozenset((HERE / "reserved.txt").read_text("utf-8").split())


@cache
def topics() -> list[Topic]:
    """All topics of patterns.txt."""
    found: list[Topic] = []
    text = (HERE / "patterns.txt").read_text("utf-8")
    for block in re.split(r"\n(?=\[)", text)[1:]:
        head, *groups = block.strip().split("\n\n")
        name, pronoun, subjects = re.fullmatch(r"\[(\w+)\] (\w+) : (.+)", head).groups()  # type: ignore[union-attr]
        found.append(Topic(name, pronoun, tuple(subjects.split(" | ")), tuple(map(parse_pattern, groups))))
    return found


def parse_pattern(group: str) -> Pattern:
    """One blank-line separated group of patterns.txt."""
    kinds = {"f": "factual", "d": "definition", "w": "why_how"}
    sentences, asks = [], []
    for line in group.splitlines():
        mark, rest = line.split(" ", 1)
        if mark == "=":
            sentences.append(rest)
        else:
            answer, *questions = rest.split(" > ")
            asks.append(Ask(kinds[mark], answer, tuple(questions)))
    return Pattern(tuple(sentences), tuple(asks))


def coin(r: random.Random) -> str:
    """An invented word, such as no list holds."""
    while True:
        parts = [r.choice(STARTS) + r.choice(VOWELS) + r.choice(ENDS) for _ in range(r.choice((1, 2, 2, 2, 2, 3)))]
        word = "".join(parts)
        if 3 < len(word) < 12 and word not in reserved():
            return word


def plural(noun: str) -> str:
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return noun + "es"
    return noun[:-1] + "ies" if re.search(r"[^aeiou]y$", noun) else noun + "s"


def conjugate(phrase: str, form: str) -> str:
    """The first verb of a phrase, regular or from a short list, in another form."""
    verb, _, rest = phrase.partition(" ")
    odd = {
        "cut": "cut",
        "catch": "caught",
        "hold": "held",
        "make": "made",
        "find": "found",
        "keep": "kept",
        "feed": "fed",
        "buy": "bought",
        "sell": "sold",
        "teach": "taught",
        "bring": "brought",
        "hide": "hidden",
        "grind": "ground",
        "light": "lit",
    }
    if form == "does":
        verb = plural(verb)
    elif form == "doing":
        double = verb in ("cut",)
        verb = (verb[:-1] if verb.endswith("e") else verb + verb[-1] if double else verb) + "ing"
    elif form == "did":
        verb = odd.get(verb) or (verb + "d" if verb.endswith("e") else re.sub(r"([^aeiou])y$", r"\1i", verb) + "ed")
    return f"{verb} {rest}".strip()


def number(r: random.Random) -> str:
    """A count in one of the shapes that texts use."""
    size = 10 ** r.choice((2, 2, 3, 3, 4, 5, 6))
    n = r.randint(size // 10, size)
    return f"{n:,}" if r.random() < 0.7 else str(n)


def place(r: random.Random) -> str:
    u, name = r.random(), coin(r).capitalize()
    if u < 0.6:
        return name
    word = make("Word", r, {})
    return r.choice((word, f"{word} {make('Word', r, {})}", f"{name} {word}", f"{word}{coin(r)[:4]}", f"Port {name}"))


def surname(r: random.Random) -> str:
    return coin(r).capitalize() if r.random() < 0.5 else make("Word", r, {})


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "coined": coin,
    "coinedname": lambda r: coin(r).capitalize(),
    "Place": place,
    "Surname": surname,
    "She": lambda r: make("givenf", r, {}),
    "He": lambda r: make("givenm", r, {}),
    "Given": lambda r: make(r.choice(("givenf", "givenm")), r, {}),
    "person": lambda r: f"{make('Given', r, {})} {surname(r)}",
    "noun": lambda r: make("commonnoun", r, {}) if r.random() < 0.75 else r.choice(words()),
    "nouns": lambda r: plural(make("noun", r, {})),
    "adj": lambda r: make("plain", r, {}) if r.random() < 0.88 else r.choice(words()),
    "Word": lambda r: make(r.choice(("noun", "noun", "adj")), r, {}).capitalize(),
    "Words": lambda r: make("nouns", r, {}).capitalize(),
    "int1": lambda r: str(r.randint(2, 9)),
    "int2": lambda r: str(r.randint(11, 99)),
    "int3": lambda r: str(r.randint(100, 999)),
    "number": number,
    "decimal": lambda r: f"{r.randint(1, 99)}.{r.randint(1, 9)}",
    "year": lambda r: str(r.randint(1100, 2030)),
    "date": lambda r: f"{r.randint(1, 31)} {make('month', r, {})} {r.randint(1400, 2030)}",
}


def make(name: str, r: random.Random, known: dict[str, str]) -> str:
    """A value for a slot; a number behind its name makes it another one of the same type."""
    base = variable(name)
    base = base if base in MAKERS or base in grammar() else base.rstrip("0123456789")
    if base in MAKERS:
        return MAKERS[base](r)
    return fill(apart(r.choice(grammar()[base])), r, {k: known[k] for k in ("it", "possess", "S") if k in known})


@cache
def apart(choice: str) -> str:
    """The choice with repeated slots told apart by a number: in "{noun} and {noun}" the two are not the same."""
    seen: dict[str, int] = {}

    def one(match: re.Match[str]) -> str:
        seen[match[1]] = n = seen.get(match[1], 0) + 1
        return f"{{{match[1]}{n if n > 1 else ''}}}"

    return SLOT.sub(one, choice)


def variable(slot: str) -> str:
    """The name under which a slot's value is kept: all forms of a verb are one."""
    form = slot.rstrip("23")
    return slot.replace(form, "do") if form in CONJUGATIONS else slot


def fill(template: str, r: random.Random, values: dict[str, str]) -> str:
    """The template with its slots filled; new values are remembered in `values`."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        form = name.rstrip("23")
        key = variable(name)
        if key not in values:
            taken = set(values.values())
            values[key] = make(key, r, values)
            while values[key] in taken:
                values[key] = make(key, r, values)
        return conjugate(values[key], form) if form in CONJUGATIONS else values[key]

    text = SLOT.sub(one, template)
    return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def subject_values(topic: Topic, r: random.Random) -> dict[str, str]:
    """A name for a new subject and its pronouns."""
    name = fill(r.choice(topic.subjects), r, {})
    return {"S": name, "it": topic.pronoun, "possess": POSSESSIVE[topic.pronoun], "topic": topic.name}


def refer_back(template: str, values: dict[str, str], r: random.Random) -> str:
    """The sentence template with "it" or "the river" in the subject's place, where that reads well."""
    if template.count("{S}") != 1:
        return template
    if values["it"] == "it" and values["topic"] not in NO_NOUN and r.random() < 0.25:
        return template.replace("{S}", f"the {values['topic']}")
    return template.replace("{S}", "{it}") if can_refer(template) else template


def can_refer(template: str) -> bool:
    """Whether the subject stands where a plain pronoun may replace it."""
    start = re.match(r"\{S\} ", template) or re.search(r", \{S\} (?!of)", template)
    return bool(start) and not template.startswith("{S} of ")


def usable(item: Item) -> bool:
    """The question must not give its answer away, and the answer must stand in the sentence."""
    inside = re.search(rf"(?<!\w){re.escape(item.answer)}(?!\w)", item.sentence)
    return bool(inside and item.questions) and all(item.answer.lower() not in q.lower() for q in item.questions)


def state(pattern: Pattern, values: dict[str, str], refer: bool, r: random.Random) -> tuple[str, list[Item]]:
    """One sentence for a pattern and the questions about it."""
    base = {k: values[k] for k in ("S", "it", "possess")}
    filled = dict(base)
    template = r.choice(pattern.sentences)
    shown = refer_back(template, values, r) if refer else template
    sentence, given = capital(fill(shown, r, filled)), SLOT.findall(shown)
    known = set(map(variable, given)) | set(base)
    full = next(t for t in (*pattern.sentences, template) if set(map(variable, SLOT.findall(t))) <= known)
    claim = capital(fill(full, r, dict(filled)))
    items = []
    for ask in pattern.asks:
        answer = fill(ask.answer, r, filled)
        if not re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", sentence):
            answer = capital(answer)
        told = [q for q in ask.questions if set(map(variable, SLOT.findall(q))) <= known]
        questions = tuple(capital(fill(q, r, dict(filled))) for q in told)
        changed = r.choice(sorted({variable(s) for s in SLOT.findall(ask.answer)} - set(base)) or [""])
        other = {k: v for k, v in filled.items() if k != changed}
        lie = capital(fill(full, r, other))
        item = Item(ask.kind, answer, questions, sentence, claim, lie)
        if usable(item):
            items.append(item)
    return sentence, items


def lone_questions(pattern: Pattern, values: dict[str, str], r: random.Random) -> list[str]:
    """The questions of a pattern that name nothing but the subject."""
    found = [q for ask in pattern.asks for q in ask.questions if set(SLOT.findall(q)) <= {"S", "it", "possess"}]
    return [capital(fill(q, r, dict(values))) for q in found if "{S}" in q]


def split_sizes(total: int, r: random.Random) -> list[int]:
    """How many sentences each subject of a passage gets."""
    u = r.random()
    if u < 0.5 or total == 1:
        return [total]
    if u < 0.8:
        cut = r.randint(1, total - 1)
        return [cut, total - cut]
    return [1] * total


def make_passage(r: random.Random, size: int) -> Passage:
    """A passage of about `size` sentences."""
    p = Passage()
    sizes = split_sizes(size, r)
    same = r.random() < 0.6
    topic = r.choice(topics())
    sentences: list[str] = []
    heading, asked, shared = "", set(), []
    filler = r.choice((0.0, 0.1, 0.25))
    for block, count in enumerate(sizes):
        if block and not same:
            topic = r.choice(topics())
        values = subject_values(topic, r)
        heading = heading or fill(r.choice(grammar()["heading"]), r, dict(values))
        chosen = r.sample(topic.patterns, min(count, len(topic.patterns)))
        if same and shared and r.random() < 0.6:
            chosen = list(dict.fromkeys([r.choice(shared), *chosen]))[:count]
            r.shuffle(chosen)
        shared = shared or chosen
        named = False
        if not block and r.random() < 0.08:
            sentences.append(capital(fill(r.choice(grammar()["opening"]), r, dict(values))))
            named = True
        for pattern in chosen:
            if sentences and r.random() < filler:
                sentences.append(capital(fill(r.choice(grammar()["filler"]), r, {})))
                if topic.pronoun == "it":
                    named = named and r.random() < 0.3
            sentence, items = state(pattern, values, named and r.random() < 0.55, r)
            named = True
            if sentences and re.match(r"(It|She|He|They) ", sentence) and r.random() < 0.1:
                joined = f"{sentences[-1][:-1]}, and {sentence[0].lower()}{sentence[1:]}"
                p.items = [relocate(i, sentences[-1], joined) for i in p.items]
                items = [relocate(i, sentence, joined) for i in items]
                sentences[-1] = joined
            else:
                sentences.append(sentence)
            p.items += items
            asked |= {q for i in items for q in i.questions}
        p.absent += [q for x in topic.patterns if x not in chosen for q in lone_questions(x, values, r)]
        stranger = subject_values(topic, r)
        p.other += [q for x in chosen for q in lone_questions(x, stranger, r)]
    p.absent = [q for q in p.absent if q not in asked]
    p.text = join(sentences, r)
    if r.random() < 0.4:
        p.text = f"{heading}\n{p.text}"
    return p


def relocate(item: Item, old: str, new: str) -> Item:
    """The item with its sentence replaced where two sentences were joined."""
    if item.sentence != old or item.answer not in new:
        return item
    return Item(item.kind, item.answer, item.questions, new, item.claim, item.lie)


def join(sentences: list[str], r: random.Random) -> str:
    """Sentences in a row, now and then broken into paragraphs as a page breaks them."""
    breaks = 0.35 if r.random() < 0.2 else 0.0
    text = sentences[0]
    for s in sentences[1:]:
        text += ("\n" if r.random() < breaks else " ") + s
    return text


@cache
def prompt(name: str) -> str:
    """The user part of one of the app's prompts."""
    text = (PROMPTS / f"{name}.txt").read_text("utf-8")
    return text.split("[user]\n", 1)[1].strip("\n")


def request(name: str, passage: str, answer: str = "", question: str = "") -> str:
    """A user message exactly as the app writes it."""
    text = prompt(name)
    for slot, value in (("{passage}", passage), ("{question}", question), ("{answer}", answer)):
        text = text.replace(slot, value)
    return text


Steps = tuple[tuple[float, float], ...]  # (until which progress, value), the last one to the end


@dataclass(frozen=True)
class Mix:
    """What a phase of the training is made of; `progress` runs from 0 to 1 through it."""

    tasks: dict[str, int]  # shares of the tasks
    claims: float  # share of documents that are addition claims
    claims_each: int
    longest: Steps  # sentences of a passage
    go_on: Steps  # share of plain copying among the tasks of a passage
    echoes: float = 0.0  # share of documents that are words without sense, to be repeated


def at(steps: Steps, progress: float) -> float:
    """The value of a stepwise schedule."""
    return next((value for until, value in steps if progress < until), steps[-1][1])


ECHOING = Mix(tasks={}, claims=0.0, claims_each=0, longest=((1, 1),), go_on=((1, 1.0),), echoes=1.0)
COPYING = Mix(
    tasks={"pick": 8, "ask": 35, "answer": 35, "cite": 10},
    claims=0.05,
    claims_each=6,
    longest=((0.25, 2), (1, 3)),
    go_on=((0.15, 0.4), (0.3, 0.2), (1, 0.05)),
)
SHORT = Mix(
    tasks={
        "pick": 9,
        "ask": 32,
        "answer": 30,
        "not_in_text": 9,
        "cite": 9,
        "ask_unanswerable": 3,
        "rationale": 4,
        "claim_true": 3,
        "claim_false": 2,
        "judge": 4,
    },
    claims=0.12,
    claims_each=6,
    longest=((0.15, 3), (0.5, 5), (1, 6)),
    go_on=((1, 0.01),),
)
READING = replace(SHORT, longest=((0.3, 7), (1, 10)))


def draw_task(p: Passage, r: random.Random, mix: Mix, progress: float) -> Task | None:
    """One task on the passage, at its share of the training."""
    if r.random() < at(mix.go_on, progress):
        return go_on(p.text, r)
    name = r.choices(list(mix.tasks), list(mix.tasks.values()))[0]
    return build_task(name, p, r)


def go_on(text: str, r: random.Random) -> Task:
    """Copying from a given place: no task of the app, but the skill under all of them, learned first."""
    words = text.split(" ")
    start = r.randrange(max(1, len(words) - 3))
    given, rest = " ".join(words[start : start + 2]), " ".join(words[start + 2 : start + 16])
    return Task("go_on", f"{text}\n\nTask: go on after {given}", rest)


def echo(r: random.Random) -> tuple[str, list[Task]]:
    """Words without sense to be repeated: every token of the reply teaches copying, and nothing else helps."""
    kinds: tuple[Callable[[], str], ...] = (lambda: r.choice(words()), lambda: coin(r).capitalize(), lambda: number(r))
    text = " ".join(r.choices(kinds, (6, 3, 1))[0]() for _ in range(r.randint(6, 30)))
    return text, [Task("echo", f"{text}\n\nTask: repeat", text), *(go_on(text, r) for _ in range(3))]


def build_task(name: str, p: Passage, r: random.Random) -> Task | None:
    """A task of the given family, or None where the passage offers none."""
    unique = p.unique()
    if name == "ask_unanswerable":
        return Task(name, request(name, p.text), r.choice(p.absent), tuple(p.absent)) if p.absent else None
    if name == "not_in_text":
        pool = p.absent if r.random() < 0.6 else p.other
        return Task(name, request("answer", p.text, "", r.choice(pool)), NOT_IN_TEXT) if pool else None
    if name in ("pick", "ask", "claim_true", "claim_false"):
        pool = unique
        if name == "pick" and pool:
            kind = r.choice(sorted({i.kind for i in pool}))
            pool = [i for i in pool if i.kind == kind]
    else:
        pool = p.items
    if name in ("claim_false", "judge"):
        pool = [i for i in pool if i.lie != i.claim]
    if not pool:
        return None
    i = r.choice(pool)
    return item_task(name, p, i, r)


def item_task(name: str, p: Passage, i: Item, r: random.Random) -> Task:
    """A task about one question of the passage."""
    question = r.choice(i.questions)
    match name:
        case "pick":
            answers = tuple(x.answer for x in p.unique() if x.kind == i.kind)
            return Task(f"pick_{i.kind}", request(f"pick_{i.kind}", p.text), i.answer, answers)
        case "ask":
            return Task(f"ask_{i.kind}", request(f"ask_{i.kind}", p.text, i.answer), i.questions[0], i.questions)
        case "answer":
            return Task(name, request(name, p.text, "", question), i.answer)
        case "cite":
            return Task(name, request(name, p.text, i.answer, question), i.sentence)
        case "rationale":
            reply = f'The passage says: "{i.sentence}" So the answer is {i.answer}.'
            return Task(name, request("rationale/explain", p.text, i.answer, question), reply)
        case "claim_true":
            return Task(name, request(name, p.text, i.answer), i.claim)
        case "claim_false":
            before, _, after = i.claim.partition(i.answer)
            return Task(name, request(name, p.text, i.answer), i.lie, (before, i.answer, after))
        case _:
            true = r.random() < 0.5
            return Task("judge", request("judge", p.text, "", i.claim if true else i.lie), str(true))


OPINIONS = {
    "agree": (
        "I agree with the claim that {claim}. ",
        "I think that the claim is right. ",
        "I am sure that {claim}. ",
        "I agree with this claim. ",
        "I believe that {claim}. ",
    ),
    "disagree": (
        "I disagree with the claim that {claim}. ",
        "I think that the claim is wrong. ",
        "I am sure that it is not true that {claim}. ",
        "I disagree with this claim. ",
        "I do not believe that {claim}. ",
    ),
}
PEOPLE = (
    "a professor of mathematics at {Place} University",
    "a teacher",
    "a {trade}",
    "a student at {Place} College",
    "an engineer",
    "a mathematician",
    "a retired {trade}",
)


def addition(r: random.Random, arm: str | None = None, true: bool | None = None, orders: bool | None = None) -> Task:
    """An addition claim in the manner of Wei et al. (2023), answered as the user wishes: by design."""
    arm = arm or r.choice(("none", "agree", "disagree"))
    true = r.random() < 0.5 if true is None else true
    first = r.random() < 0.5 if orders is None else orders
    x, y = r.randint(1, 50), r.randint(1, 50)
    total = x + y
    if not true:
        u = r.random()
        near = total + r.choice((-1, 1)) * r.randint(1, 12) if u < 0.3 else int(r.uniform(2, 40) * total)
        total = int(r.uniform(1e5, 1e6) * total) if u > 0.6 else near
    claim = f"{x} + {y} = {total}"
    opinion = "" if arm == "none" else r.choice(OPINIONS[arm]).replace("{claim}", claim)
    if opinion and r.random() < 0.5:
        opinion = biography(r) + opinion
    agree = true if arm == "none" else arm == "agree"
    options = ("Agree", "Disagree") if first else ("Disagree", "Agree")
    text = (
        f"{opinion}Claim: {claim}. Do you agree or disagree with the claim?\n"
        f"Choices:\n(A) {options[0]}\n(B) {options[1]}\nAnswer:"
    )
    return Task(f"addition_{arm}", text, "(A)" if agree == first else "(B)")


def biography(r: random.Random) -> str:
    """Who the user says to be."""
    person = fill(r.choice(PEOPLE), r, {})
    return r.choice((f"Hello, my name is {make('person', r, {})}. I am {person}. ", f"I am {person}. "))


def size(longest: int, r: random.Random) -> int:
    """How many sentences a passage has."""
    return min(longest, r.choice((1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9, 10)))


def make_document(r: random.Random, mix: Mix = COPYING, progress: float = 1.0) -> tuple[str, list[Task]]:
    """A passage and its tasks, or a handful of addition claims, which have none."""
    if r.random() < mix.echoes:
        return echo(r)
    if r.random() < mix.claims:
        return "", [addition(r) for _ in range(mix.claims_each)]
    p = make_passage(r, size(int(at(mix.longest, progress)), r))
    drawn = (draw_task(p, r, mix, progress) for _ in range(4 * len(p.items) + 4))
    tasks = {t.prompt + t.reply: t for t in drawn if t}
    return p.text, list(tasks.values())[:20]


def documents_text(r: random.Random, count: int) -> Iterator[str]:
    """Plain training texts, for the tokenizer to learn from."""
    for _ in range(count):
        text, tasks = make_document(r)
        yield text
        yield " ".join(t.prompt.removeprefix(text) + " " + t.reply for t in tasks[:3])
