"""Steps by which an organiser sets up a phase, as a short text beside the files to upload."""

from collections.abc import Iterable

from cytosuite.benchmark.containers.images import image_tag
from cytosuite.benchmark.submission.judging.evaluation import Evaluation
from cytosuite.tasks import Socket, Task

IMAGE = image_tag("evaluation")

TEXT = """# Evaluation of {title}

Task {task}, {cases} cases of the dataset {dataset} ({size}), fingerprint {fingerprint:.16}.

1. Make an archive and a phase with the sockets below. Labels are of the kind Image: segmentation
   sockets hold at most 64 objects.

{sockets}

2. Upload the inputs, in the folder of `{inputs}`:

   ```python
   import gcapi, json
   client = gcapi.Client(token="...")
   for case in json.load(open("cases.json")):
       client.add_cases_to_archive(archive="<slug>", values=case)
   ```

   The names of the images connect a job with its truth: do not change them.
3. Upload `evaluation_<id>.tar.gz`, the image `{image}`, as the evaluation method of the phase.
4. Upload `{tarball}` as its ground truth.
5. Set the metrics to rank by; JSON path and order:

{ranked}

6. Rehearse: `cytosuite evaluation DATASET --run RUN` judges the outputs of a run and compares the
   scores. By hand, with `predictions.json` and the outputs of the jobs in `input`, the unpacked
   tarball in `truth` and a folder `output` that everybody may write to,

   ```
   docker run --rm --network none --read-only --tmpfs /tmp \\
       --volume "$PWD/input":/input:ro --volume "$PWD/output":/output \\
       --volume "$PWD/truth":/opt/ml/input/data/ground_truth:ro {image}
   ```

A case that failed, or that has no job, has the worst value of each metric, counts in the mean and
is named with its reason under `failed` of `metrics.json`. `cases.csv` holds the scores of single
cases. `/tmp` takes a copy of all outputs.
"""


def steps(evaluation: Evaluation, task: Task, tarball: str, inputs: str) -> str:
    """Return the steps to set up a phase, in Markdown.

    Parameters
    ----------
    evaluation : Evaluation
        Of the phase.
    task : Task
        Its sockets are listed.
    tarball, inputs : str
        Names of the ground truth and of the folder of inputs.
    """
    return TEXT.format(
        title=evaluation.title,
        task=task.name,
        cases=len(evaluation.cases),
        dataset=evaluation.dataset,
        size=evaluation.size,
        fingerprint=evaluation.fingerprint,
        sockets=_table([("input", task.inputs), ("output", task.outputs)]),
        inputs=inputs,
        image=IMAGE,
        tarball=tarball,
        ranked="\n".join(f"   * `{one.path}`, {one.order}" for one in evaluation.ranked),
    )


def _table(sides: Iterable[tuple[str, Iterable[Socket]]]) -> str:
    """Return the sockets as a table."""
    rows = ["   | | slug | relative path | kind |", "   |---|---|---|---|"]
    for side, sockets in sides:
        for socket in sockets:
            kind = "Anything (JSON)" if socket.kind == "json" else "Image"
            optional = ", optional" if socket.optional else ""
            rows.append(
                f"   | {side}{optional} | `{socket.slug}` | `{socket.relative_path}` | {kind} |"
            )
    return "\n".join(rows)
