import numpy as np
import pandas as pd
import pytest

from cytosuite.files import write_json

SCORES = np.linspace(0.5, 0.9, 12)


@pytest.fixture
def make_run(tmp_path):
    def make(name, scores=SCORES, *, status=(), algorithm="net", facts=(), seconds=1.0):
        rows = []
        for index, value in enumerate(map(float, scores)):
            case = {"dataset": "cells", "case": f"case_{index:02d}"}
            bad = dict(status).get(index, "ok")
            ran = {"status": bad, "seconds": seconds, "peak_memory": 2.0**30}
            value = value if bad == "ok" else 0.0
            for metric in ("SEG", "DET"):
                row = {"algorithm": algorithm, "model": "m", "metric": metric, "value": value}
                rows.append(case | row | ran)
                for control, fixed in (("oracle", 1.0), ("blank", 0.0)):
                    row = {"algorithm": control, "metric": metric, "value": fixed, "status": "ok"}
                    rows.append(case | row)
        folder = tmp_path / name
        (folder / "report").mkdir(parents=True)
        pd.DataFrame(rows).to_csv(folder / "report/scores.csv", index=False)
        board = pd.DataFrame(
            {"algorithm": [algorithm, "oracle"], "SEG_pooled": [0.7, None], "DET_pooled": [0.8, None],
             "truth_count_pooled": [42, None]}
        )  # fmt: skip
        board.to_csv(folder / "report/leaderboard.csv", index=False)
        said = {
            "dataset": "cells", "task": "segment", "fingerprint": "a" * 64, "engine": "process",
            "api": "invoke", "machine": "x86_64, 2 cores", "jobs": {algorithm: "k" * 64},
            "request": {"dataset": "my-cells"}, "cytosuite": "0.1.0 abc", "versions": {algorithm: "0.1.0"},
            "models": {algorithm: {}}, "cases": {row["case"]: "d" for row in rows},
        } | dict(facts)  # fmt: skip
        write_json(folder / "run.json", said)
        return folder

    return make
