import gzip
import subprocess

import numpy as np
import pytest

from cytosuite.benchmark.containers.gzipped import BLOCK, gzipped

RNG = np.random.default_rng(0)
NOISE, TEXT = RNG.bytes(BLOCK + 7), b"".join(b"%d, " % n for n in range(300_000))


def written(path, content, step, threads):
    with gzipped(path, threads) as stream:
        for start in range(0, len(content), step):
            stream.write(content[start : start + step])
    return path.read_bytes()


@pytest.mark.parametrize("content", [b"", b"a", bytes(BLOCK), TEXT + NOISE + TEXT])
def test_any_reader_gets_the_content_back(tmp_path, content):
    packed = written(tmp_path / "a.gz", content, 100_000, 2)
    assert gzip.decompress(packed) == content
    subprocess.run(["gzip", "-t", tmp_path / "a.gz"], check=True)
    assert len(packed) < 1.01 * len(gzip.compress(content, 6, mtime=0)) + 20


def test_the_bytes_are_the_same_for_any_threads_and_writes(tmp_path):
    one = written(tmp_path / "1.gz", TEXT + NOISE, 2**30, 1)
    assert written(tmp_path / "2.gz", TEXT + NOISE, 4321, 3) == one


def test_nothing_is_left_of_a_stream_that_broke(tmp_path):
    with pytest.raises(KeyError), gzipped(tmp_path / "a.gz") as stream:
        stream.write(NOISE)
        raise KeyError
    assert not [*tmp_path.iterdir()]
