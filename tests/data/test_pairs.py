"""Pairs of texts: as tokens and back, in parts, in buckets, and from files."""

import itertools
import json

import numpy as np
import pytest

import fdl
from fdl.arrays import END, PAD, START, UNKNOWN
from fdl.data import (
    DataError,
    DatasetInfo,
    bucket_bounds,
    bucketed,
    check,
    example,
    from_pairs,
    load,
    pairs,
    require_sensible,
)
from fdl.data.dataset import SPECIAL
from fdl.data.own import Part
from fdl.data.pairing import assemble_pairs
from fdl.recorded import fields_of

GERMAN = ["Ein Hund, ein Haus", "Ein Hund läuft", "Das Haus", "Ein Hund läuft"]
ENGLISH = ["A dog, a house", "A dog runs", "The house", "A dog is running"]


def make(**more):
    """Return pairs of four sentences, two of which have the same source."""
    return from_pairs(
        GERMAN, ENGLISH, test=(["Ein Tier läuft"], ["A wug runs"]), **more
    )


def test_texts_become_tokens_and_texts_again() -> None:
    data = make(columns=("German", "English"))
    info = data.info
    assert info.kind == "pair"
    assert info.units == ("words", "words")
    assert info.columns == ("German", "English")
    # Words that occur twice in the training part, most frequent first; case matters.
    assert info.vocabulary == (*SPECIAL, "Ein", "Hund", "Haus", "läuft")
    assert info.class_names == (*SPECIAL, "A", "dog", "house")
    assert info.num_classes == 7
    assert info.input_shape == (5,)
    assert info.target_length == 6  # five words, and the end
    assert data.train.source.tolist() == [
        [4, 5, UNKNOWN, UNKNOWN, 6],
        [4, 5, 7, PAD, PAD],
        [UNKNOWN, 6, PAD, PAD, PAD],
        [4, 5, 7, PAD, PAD],
    ]
    assert data.train.target[1].tolist() == [4, 5, UNKNOWN, END, PAD, PAD]
    assert data.test.source.tolist() == [[4, UNKNOWN, 7, PAD, PAD]]
    assert {array.dtype for part in (data.train, data.test) for array in part} == {
        np.dtype(np.int32)
    }
    assert not data.train.source.flags.writeable
    assert not data.test.target.flags.writeable
    check(data.train, batch_size=4)
    require_sensible(info)
    assert data.references.tolist() == ["A wug runs"]
    assert pairs.target_texts(info, data.test.target) == ["A"]
    assert pairs.target_texts(info, data.test.target, unknown="-") == ["A - -"]
    generated = [[START, 4, 5, UNKNOWN, END, 6, PAD], [6, 6, 6, 6, 6, 6, 6]]
    assert pairs.target_texts(info, np.array(generated)) == [
        "A dog",
        " ".join(["house"] * 7),
    ]
    assert pairs.source_texts(info, data.train.source[:1]) == [
        "Ein Hund <unk> <unk> Haus"
    ]
    one = example(info)
    assert (one.source.shape, one.target.shape) == ((1, 5), (1, 6))


def test_a_word_that_looks_like_a_special_token_is_an_ordinary_word() -> None:
    texts = ["<pad> <s> </s> <unk>"] * 2
    data = from_pairs(texts, texts, test=(texts, texts))
    assert data.train.source.min() >= len(SPECIAL)
    assert (data.train.target[0] == END).sum() == 1
    check(data.train)


def test_letters_fall_back_to_lower_case_or_are_refused() -> None:
    texts = ["cat", "ï go"]
    info = from_pairs(texts, texts, test=(texts, texts), units=("letters",) * 2).info
    assert pairs.source_tokens(info, ["GO  Cat", "i\u0308"]).tolist() == (
        pairs.source_tokens(info, ["go c", "ï"]).tolist()
    )
    data = from_pairs(texts, texts, test=(["CAT"], ["CAT"]), units=info.units)
    assert pairs.source_texts(data.info, data.test.source) == ["cat"]
    # Targets do not fall back to lower case.
    assert data.test.target[0].tolist()[:4] == [UNKNOWN] * 3 + [END]
    with pytest.raises(DataError, match="text 2 of 2, 'dog', has the letter 'd', whi"):
        pairs.source_tokens(info, ["go", "dog"])
    with pytest.raises(DataError, match=r"it has ' acgotï'\.$"):
        pairs.source_tokens(info, ["dog"])
    with pytest.raises(DataError, match="text 1 of 1 is empty: '  ': leave it out"):
        pairs.source_tokens(info, ["  "])


@pytest.mark.parametrize(
    "text",
    [
        "\"Isn't it 3.50,\" he said (rock 'n' roll)?!",
        "\u201eSo \u201aja\u2018\u201c, \u201cso\u201d \u2018no\u2019\u2026",
        "\u00abIls\u00bb: \u00bfy?",
    ],
)
def test_punctuation_is_joined_to_its_words(text) -> None:
    split = pairs.split_text(text, "words")
    assert len(split) > len(text.split())
    assert pairs.join_text(split, "words") == text


def test_joined_words_are_split_again() -> None:
    draw = np.random.default_rng(0)
    for _ in range(2000):
        text = "".join(
            draw.choice([*"ab ,.?'\"()[\u201a\u201e\u2018\u201c\u201d\u00ab\u00bb"], 9)
        )
        split = pairs.split_text(text, "words")
        assert pairs.split_text(pairs.join_text(split, "words"), "words") == split


def test_texts_longer_than_in_training_are_cut_and_counted(caplog) -> None:
    data = from_pairs(
        ["ab", "b"], ["x y", "y x"], test=(["aba", "bbb", "a"], ["x y x", "x", "y"])
    )
    assert data.test.source.tolist() == [[4, 5], [5, 5], [4, 0]]
    assert data.test.target.tolist() == [[4, 5, END], [4, END, PAD], [5, END, PAD]]
    assert "2 of 3 sources of the test part were cut to 2 letters" in caplog.text
    assert "1 of 3 targets of the test part were cut to 2 words" in caplog.text
    caplog.clear()
    assert pairs.source_tokens(data.info, ["abab", "a"]).shape == (2, 2)
    assert "1 of 2 texts were cut to 2 letters" in caplog.text


def test_units_are_words_if_a_text_has_several() -> None:
    spoken = from_pairs(["knight", "night"], ["N AY T", "N AY T"], test=(["a"], ["A"]))
    assert spoken.info.units == ("letters", "words")
    assert spoken.info.class_names[len(SPECIAL) :] == ("AY", "N", "T")
    units = ("letters", "letters")
    assert (
        from_pairs(["a b"] * 2, ["c"] * 2, test=(["a"], ["c"]), units=units).info.units
        == units
    )
    with pytest.raises(DataError, match="units='letters,lines' must be two of letters"):
        from_pairs(["a"], ["b"], units=("letters", "lines"))


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (["a", "b"], ["c"], "train part has 2 sources and 1 targets"),
        ([], [], "train part has 0 sources"),
        (["a", " \t"], ["c", "d"], "train part: source 2 of 2 is empty"),
        (["a", "b"], ["", "d"], "train part: target 1 of 2 is empty"),
        (["a", "a"], ["c", "d"], "pairs has only one source and no test part"),
        (["a b", "c d"], ["c", "d"], "no word of 'source' occurs twice"),
    ],
)
def test_bad_pairs_are_refused(source, target, message) -> None:
    with pytest.raises(DataError, match=message):
        from_pairs(source, target)


@pytest.mark.parametrize("text", [None, 3, float("nan")])
def test_values_other_than_texts_are_refused(text) -> None:
    message = f"train part: target 2 of 2 is {text}, but must be a text"
    with pytest.raises(DataError, match=message):
        assemble_pairs(
            {"train": Part(["a", "b"], ["c", text])},
            name="pairs",
            title="pairs",
            source="texts",
            columns=("source", "target"),
        )


def test_equal_sources_are_never_in_two_parts(tmp_path) -> None:
    names = ["".join(three) for three in itertools.product("abc", repeat=3)]
    source = [name for name in names for _ in range(1 + len(set(name)))]
    target = [f"{name}{number}" for number, name in enumerate(source)]
    (tmp_path / "a.tsv").write_text(
        "\n".join(map("\t".join, zip(source, target, strict=True)))
    )
    data = load(f"tsv:{tmp_path}/a.tsv", units="letters")
    parts = [{tuple(row) for row in part.source.tolist()} for part in data[:3]]
    assert [len(part) for part in parts] == [19, 4, 4]  # of 27 different sources
    assert sum(map(len, parts)) == len(set.union(*parts)) == 27
    assert not data.describe().leaks
    assert data.describe().repeated["test"] == len(data.test.source) - 4
    for how in ("last", "stratified"):
        train, held = fdl.data.hold_out(data.train, 1 / 4, how=how, seed=3)
        sources = [
            {tuple(row) for row in part.source.tolist()} for part in (train, held)
        ]
        assert not sources[0] & sources[1]
        assert len(sources[1]) == 5
    assert held.target.shape[1] == data.info.target_length
    whole = load(f"tsv:{tmp_path}/a.tsv", validation=None)
    assert len(whole.train.source) == len(source) - len(data.test.source)


GOOD = fdl.Pairs(np.array([[4, 5, 0], [4, 0, 0]]), np.array([[5, 2, 0], [4, 4, 2]]))


@pytest.mark.parametrize(
    ("field", "place", "value", "message"),
    [
        ("source", (1, 0), PAD, "row 1 of source has only padding"),
        ("source", (0, 0), PAD, "row 0 of source has padding before a token"),
        ("source", (0, 1), END, "row 0 of source has the end token"),
        ("source", (1, 0), START, "row 1 of source has the start token"),
        ("source", (0, 1), -1, "row 0 of source has a negative token"),
        ("target", (0, 0), START, "row 0 of target has the start token"),
        ("target", (0, 1), 5, r"row 0 of target has no end token: .*2 \(1 such rows\)"),
        ("target", (1, 1), END, "row 1 of target has the end token"),
        ("target", (1, 0), PAD, "row 1 of target has padding before a token"),
    ],
)
def test_invalid_tokens_are_refused(field, place, value, message) -> None:
    check(GOOD, batch_size=2)
    tokens = np.array(getattr(GOOD, field))
    tokens[place] = value
    with pytest.raises(DataError, match=message):
        check(GOOD._replace(**{field: tokens}))


def test_arrays_other_than_tokens_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"source is float64\[2, 3\]: expected integers"
    ):
        check(GOOD._replace(source=GOOD.source / 1))
    with pytest.raises(DataError, match=r"target is int64\[2\]: expected integers"):
        check(GOOD._replace(target=GOOD.target[:, 0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_length": 0}, "target_length=0 must be from 1"),
        ({"target_length": 10**9}, "target_length=1000000000 must be from 1"),
        ({"units": ("letters",)}, "units=.'letters'. must be two of letters, words"),
        ({"units": ("letters", "bytes")}, "must be two of letters, words"),
        ({"columns": ()}, "columns=.. must be two names"),
        ({"vocabulary": ("a", "b")}, "vocabulary must begin with <pad>, <s>, </s>"),
        ({"input_shape": (3, 3)}, "must have 1 sides"),
    ],
)
def test_an_invalid_info_is_refused(change, message) -> None:
    info = make().info
    with pytest.raises(ValueError, match=message):
        require_sensible(info._replace(**change))


def test_the_info_of_pairs_survives_json() -> None:
    info = make().info
    restored = json.loads(json.dumps(info._asdict()))
    assert DatasetInfo(**fields_of(DatasetInfo, restored)) == info


def test_buckets_hold_every_pair_once_cut_to_their_bounds() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, (60, 2))
    source, target = (
        np.where(np.arange(8) < length[:, None], 4 + np.arange(60)[:, None], 0)
        for length in lengths.T
    )
    whole = fdl.Pairs(source, target)
    bounds = bucket_bounds(whole, 4)
    parts = bucketed(whole, 4).parts
    assert repr(parts) == repr(bucketed(whole, bounds).parts)
    assert len(parts) == len(bounds) == 4
    assert bounds[-1] == (8, 8)
    seen = []
    for part, (long, wide) in zip(parts, bounds, strict=True):
        assert (part.source.shape[1], part.target.shape[1]) == (long, wide)
        rows = part.source[:, 0] - 4
        assert (np.diff(rows) > 0).all()  # in order
        np.testing.assert_array_equal(part.source, source[rows, :long])
        np.testing.assert_array_equal(part.target, target[rows, :wide])
        assert not source[rows, long:].any()
        assert not target[rows, wide:].any()
        seen += rows.tolist()
    assert sorted(seen) == list(range(60))


def test_only_the_last_bucket_has_a_smaller_batch() -> None:
    lengths = np.repeat([1, 2, 3], [10, 9, 6])
    tokens = np.where(np.arange(3) < lengths[:, None], 4 + np.arange(25)[:, None], 0)
    whole = fdl.Pairs(tokens, tokens)
    parts = bucketed(whole, 3, batch_size=4).parts
    rows = [(part.source[:, 0] - 4).tolist() for part in parts]
    assert rows == [[*range(8)], [*range(8, 16)], [*range(16, 25)]]
    assert [part.target.shape[1] for part in parts] == [1, 2, 3]
    np.testing.assert_array_equal(parts[2].source, tokens[16:])
    with pytest.raises(DataError, match="batch_size=0 must be at least 1"):
        bucketed(whole, 3, batch_size=0)


def test_bucket_bounds_need_the_fewest_tokens() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 5, (40, 2))
    whole = fdl.Pairs(*(np.where(np.arange(4) < n[:, None], 4, 0) for n in lengths.T))

    def work(bounds):
        return sum(
            tokens.size for part in bucketed(whole, bounds).parts for tokens in part
        )

    corners = list(itertools.product(range(1, 5), repeat=2))
    chains = [
        (first, second, (4, 4))
        for first, second in itertools.product(corners, repeat=2)
        if first[0] <= second[0] and first[1] <= second[1]
    ]
    assert work(bucket_bounds(whole, 3)) == min(map(work, chains))
    assert bucket_bounds(whole, 1) == ((4, 4),)
    assert len(bucket_bounds(whole, 99)) <= 7


def test_bad_bucket_bounds_are_refused() -> None:
    with pytest.raises(DataError, match=r"pair in row 1, whose lengths are \(1, 3\)"):
        bucketed(GOOD, [(1, 1), (3, 2)])
    with pytest.raises(DataError, match="from short to long"):
        bucketed(GOOD, [(3, 3), (2, 4)])
    for bounds in ([], [3], [(3, 3, 3)], [(3, 3), (4,)]):
        with pytest.raises(DataError, match="at least one bucket"):
            bucketed(GOOD, bounds)
    with pytest.raises(DataError, match="count=0 must be at least 1"):
        bucketed(GOOD, 0)


def test_bucket_bounds_of_many_lengths_are_nearly_optimal() -> None:
    lengths = np.arange(1, 101)
    rows = np.where(np.arange(100) < lengths[:, None], 4, 0)
    bounds = bucket_bounds(fdl.Pairs(rows, rows), 4)
    assert bounds[-1] == (100, 100)
    for (length, _), fair in zip(bounds, (25, 50, 75, 100), strict=True):
        assert abs(length - fair) <= 5


def write_tsv(folder):
    lines = ["id\tEnglish\tGerman", " \t"]
    lines += [
        f"{n}\t{e}\t{g}" for n, (e, g) in enumerate(zip(ENGLISH, GERMAN, strict=True))
    ]
    (folder / "a.tsv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    return f"tsv:{folder}/a.tsv"


def write_jsonl(folder):
    both = zip(ENGLISH, GERMAN, strict=True)
    lines = [json.dumps({"English": e, "German": g, "n": 1}) for e, g in both]
    (folder / "a.jsonl").write_text("\n\n".join(lines), "utf-8")
    return f"jsonl:{folder}/a.jsonl"


@pytest.mark.parametrize("write", [write_tsv, write_jsonl])
def test_files_of_pairs_are_read(tmp_path, write) -> None:
    line = f"{write(tmp_path)}?source=German&target=English"
    data = load(line, validation=None, units="words-letters")
    assert data.info.name.endswith("?source=German&target=English&units=words-letters")
    assert data.info.units == ("words", "letters")
    assert data.info.columns == ("German", "English")
    assert (data.info.train_count, data.info.test_count) == (3, 1)
    assert data.references.tolist() == ["The house"]
    assert fdl.data.status(line)[0].available
    # Another file, all of it, with the vocabulary, lengths and options of a run.
    again = load(write(tmp_path), like=data.info)
    assert len(again.test.source) == 4
    assert again.info.vocabulary == data.info.vocabulary
    assert again.info.target_length == data.info.target_length
    assert pairs.target_texts(again.info, again.test.target[1:2]) == ["A dog runs"]


def test_columns_without_names_are_chosen_by_number(tmp_path) -> None:
    (tmp_path / "a.tsv").write_text("A\t1\tx\nB\t2\n\nC\t3\n")
    data = load(f"tsv:{tmp_path}/a.tsv?source=2&target=1", validation=None)
    assert data.info.columns == ("source", "target")
    read = [data.train.source, data.test.source]
    assert [len(part) for part in read] == [2, 1]
    assert {text for part in read for text in pairs.source_texts(data.info, part)} <= {
        *"123",
        "<unk>",
    }
    assert {*pairs.target_texts(data.info, data.train.target)} < {*"ABC"}


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"a\tb\nc\t\xff\n", "", "line 2 has the byte 0xff, invalid start byte: save"),
        (b"a\tb\n\nc\n", "", "line 3: the target, column '2', is missing"),
        (b"a\tb\n \tc\n", "", "line 2: the source, column '1', is empty"),
        (b"\n\n", "", "holds no pairs of texts"),
        (b"a\tb\n", "?source=a&target=b", "holds no pairs of texts"),
        (b"a\tb\nc\td", "?source=a&target=z", "line 1 has no column 'z'; it has a, b"),
        (b"a\tb\nc\td", "?source=0", "line 1 has no column '0': .* or set source to"),
        (b"a\tb\nc\td", "?units=lines", "units='lines' must be letters, words, or on"),
        (b"a\tb\nc\td", "?text=a", "tsv: has no option 'text': choose one of source"),
    ],
)
def test_bad_files_of_pairs_are_refused_by_line(tmp_path, content, options, message):
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(f"tsv:{tmp_path}/a.tsv{options}")
    assert "?" in options or not fdl.data.status(f"tsv:{tmp_path}/a.tsv")[0].available


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"de": "a"}', "line 2 is not a JSON object with .*: it has no 'en'"),
        ('{"de": "a", "en": " "}', "line 2 .*: 'en' is empty"),
        ('{"de": "a", "en": 3}', "line 2 .*: 'en' is not a text"),
    ],
)
def test_bad_objects_are_refused_by_line(tmp_path, line, message) -> None:
    (tmp_path / "a.jsonl").write_text('{"de": "a", "en": "b"}\n' + line)
    with pytest.raises(DataError, match=message):
        load(f"jsonl:{tmp_path}/a.jsonl?source=de&target=en")


def test_texts_for_a_run_are_lines_or_the_sources_of_a_file(tmp_path) -> None:
    info = make(columns=("German", "English")).info
    # One text per line; a form feed ends a line only for Python's `splitlines`.
    (tmp_path / "a.txt").write_text("Ein Hund\n\nDas\fHaus\n")
    assert fdl.data.read_texts(tmp_path / "a.txt", info) == [
        "Ein Hund",
        "",
        "Das\fHaus",
    ]
    write_jsonl(tmp_path)
    assert fdl.data.read_texts(tmp_path / "a.jsonl", info) == GERMAN
    write_tsv(tmp_path)
    assert fdl.data.read_texts(tmp_path / "a.tsv", info) == GERMAN
    (tmp_path / "a.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"a\.txt holds no text"):
        fdl.data.read_texts(tmp_path / "a.txt", info)
    (tmp_path / "a.csv").write_text("text,n\nDas Haus,1\n")
    with pytest.raises(DataError, match=r"line 1 has no column .German..* has text, n"):
        fdl.data.read_texts(tmp_path / "a.csv", info)
    (tmp_path / "a.csv").write_bytes(b"German\n" + b"Das Haus\n" * 2000 + b"\xff\n")
    with pytest.raises(DataError, match="line 2002 has the byte 0xff"):
        fdl.data.read_texts(tmp_path / "a.csv", info)


def test_texts_for_a_run_are_in_the_column_of_its_data(tmp_path) -> None:
    (tmp_path / "a.tsv").write_text("1\ta\tx\n2\tb\ty\n")
    (tmp_path / "b.tsv").write_text("3\tb a\n")  # without targets
    info = load(f"tsv:{tmp_path}/a.tsv?source=2&target=3", validation=None).info
    assert fdl.data.read_texts(tmp_path / "b.tsv", info) == ["b a"]
    info = load(f"tsv:{tmp_path}/a.tsv", validation=None).info
    assert fdl.data.read_texts(tmp_path / "b.tsv", info) == ["3"]


def test_a_description_gives_the_lengths_and_vocabulary_of_pairs() -> None:
    description = str(make(columns=("German", "English")).describe())
    assert "German: at most 5 words, 4 different ones" in description
    assert "English: at most 5 words, 3 different ones" in description
    assert "train: 1 input occurs earlier in this part" in description
    assert "classes" not in description


def test_other_data_are_refused_as_pairs() -> None:
    info = fdl.data.from_arrays(np.ones((4, 2)), [0, 1, 0, 1]).info
    with pytest.raises(DataError, match="holds no pairs of texts, but vectors"):
        pairs.source_tokens(info, ["a"])
    with pytest.raises(DataError, match="holds no pairs of texts"):
        pairs.target_texts(info, np.ones((1, 1), int))
