"""The batch script of a job, one text for every way in: submitit, arrays, and plain sbatch. Light.

`python -m slurm.batch` prints the script for plain sbatch, which is `slurm/train.sbatch`.

The script starts the tasks, and starts them again when they crashed, as long as there is progress between
two crashes. A lost node is SLURM's to requeue: requeueing by hand while a node dies leaves SLURM 22.05
counting GPUs that nobody holds. All that wants SLURM's commands is done here, on the host: the tasks may run
in a container without them, and leave notes in the run folder (`slurm.leave`).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from slurm.cluster import Cluster, Options

LEAST_CPUS = 1
FAILURES = 3  # crashes in a row without a newer checkpoint, after which a job is given up
CRASHES = "crashes without progress"
PAUSE = 5  # seconds before the tasks are started again, and between two looks at a node
LOOKS = 60  # at nodes that do not answer; SLURM finds a lost one after SlurmdTimeout, 5 minutes by default
TRIES = 12  # to ask of the job, where the controller does not answer
LEAVING = 600  # seconds that a job which was told to end waits for SLURM to end it
# Seconds between two starts while storage does not answer: so many, then as many as all before, up to the
# longest; and seconds in all. To wait in the queue again takes longer than most outages.
OUTAGE_PAUSE, LONGEST_PAUSE, OUTAGE = 15, 300, 3600


@dataclass(frozen=True)
class Job:
    """What SLURM is asked for, and what runs there.

    runs: folders, one, or one for each task of the array. command: a shell command that a task runs.
    again: one of the host that, given a run and a job, submits the run's next job to start after that one;
    `false` where nobody can.
    after: job that must have ended well before this one starts, or several with colons between.
    follows: job that must have ended, well or not.
    """

    name: str
    nodes: int
    tasks_per_node: int
    cpus_per_task: int
    gpus_per_node: int
    runs: tuple[str, ...]
    command: str
    log: str
    again: str = "false"
    parallel: int | None = None
    after: str | None = None
    follows: str | None = None
    exports: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def cpus_per_task(cluster: Cluster, tasks_per_node: int) -> int:
    """Return the CPUs of a task: one GPU's share of its node's, or a task's where it has the node to itself.

    1 where it is not known how many a node has.
    """
    sharers = tasks_per_node if cluster.exclusive else max(tasks_per_node, cluster.gpus_per_node)
    return max(LEAST_CPUS, cluster.cpus_per_node // sharers)


def batch_text(cluster: Cluster, job: Job) -> str:
    """Return the whole script."""
    exports, body = _exports(cluster, job), _body(cluster, job)
    return "\n".join([*_head(cluster, job), *_run_folder(job.runs), exports, body])


def plain_text(cluster: Cluster, job: Job) -> str:
    """Return a script that runs the job's command once."""
    return "\n".join([*_head(cluster, job), _exports(cluster, job), "", job.command, ""])


def _head(cluster: Cluster, job: Job) -> list[str]:
    return ["#!/bin/bash", *(f"#SBATCH {line}" for line in _options(cluster, job)), "", *cluster.setup]


def _options(cluster: Cluster, job: Job) -> list[str]:
    several = len(job.runs) > 1
    limit = f"%{job.parallel}" if job.parallel else ""
    texts = {
        "job-name": job.name,
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "mem": cluster.memory,
        "time": cluster.time,
        "nodes": str(job.nodes),
        "ntasks-per-node": str(job.tasks_per_node),
        "gpus-per-node": str(job.gpus_per_node or ""),
        "cpus-per-task": str(job.cpus_per_task),
        # Tasks fill one socket after the other, as GPUs are numbered. SLURM's default deals them out to the
        # sockets in turn, and half of them are bound to cores of the socket that their GPU is not on.
        "distribution": "block:block",
        "array": f"0-{len(job.runs) - 1}{limit}" if several else "",
        "dependency": _dependency(job),
        "kill-on-invalid-dep": "yes" if job.after else "",
        "output": job.log,
        "open-mode": "append",
        "signal": f"USR2@{cluster.signal_seconds}",
    }
    asked = {name: value for name, value in texts.items() if value}
    flags = ["exclusive"] * cluster.exclusive + ["requeue" if cluster.requeue else "no-requeue"]
    return written(asked | dict.fromkeys(flags, ""), cluster.sbatch)


def written(asked: dict[str, str], given: Options) -> list[str]:
    """Return options as SLURM's commands take them. given: replaces what is asked for, or leaves it out."""
    options: dict[str, str | None] = {**asked, **dict(given)}
    return [
        f"--{name}={shlex.quote(value)}" if value else f"--{name}"
        for name, value in options.items()
        if value is not None
    ]


def _dependency(job: Job) -> str:
    if job.follows:
        return f"afterany:{job.follows}"
    return f"afterok:{job.after}" if job.after else ""


def _run_folder(runs: Sequence[str]) -> list[str]:
    if len(runs) == 1:
        return [f"run={shlex.quote(runs[0])}"]
    return ["runs=(", *(f"  {shlex.quote(run)}" for run in runs), ")", "run=${runs[$SLURM_ARRAY_TASK_ID]}"]


def _exports(cluster: Cluster, job: Job) -> str:
    values = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TOP1_BATCH": "1",  # to the tasks: this script does what is to follow when they leave
        "TOP1_STARTUP_SECONDS": str(cluster.startup_seconds),
        "TOP1_STEP_SECONDS": str(cluster.step_seconds),
        **dict(job.exports),
    }
    if cluster.interface:
        names = ("TOP1_INTERFACE", "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")
        values |= dict.fromkeys(names, cluster.interface)
    others = " \\\n  ".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
    return f"""\
export OMP_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-{job.cpus_per_task}}} \\
  {others}
# From 22.05 on srun takes nothing from sbatch's --cpus-per-task: a task would have one CPU.
[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK"""


def _body(cluster: Cluster, job: Job) -> str:
    asked = {"kill-on-bad-exit": "1", "unbuffered": "", "open-mode": "append"}
    options = " ".join(written(asked, cluster.srun))
    return f"""
mkdir -p "$run/logs"
exec >>"$run/logs/batch.log" 2>&1
why=$run/logs/give-up.$SLURM_JOB_ID  # a task writes there that to start again would help nobody
left=$run/logs/left.$SLURM_JOB_ID  # that it was told to stop, and has saved
outage=$run/logs/outage.$SLURM_JOB_ID  # that storage did not answer
job=$SLURM_JOB_ID
# The number of an array's last task is that of the whole array, too.
[ -n "$SLURM_ARRAY_JOB_ID" ] && job=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID
say() {{ echo "$(date '+%F %T') job $job restart ${{SLURM_RESTART_COUNT:-0}}: $*"; }}
newest() {{ ls "$run/checkpoints" 2>/dev/null | grep '^step-' | tail -n 1; }}
shown() {{ for try in $(seq {TRIES}); do scontrol show job -o $job && break; sleep {PAUSE}; done; }}
give_up() {{ say "given up: $(cat "$why")"; exit $code; }}
go_back() {{
  if refusal=$(scontrol requeue $job 2>&1); then
    say "it goes back to the queue"
    exit $code
  fi
  refusal="SLURM did not put job $job back into the queue: $refusal."
  if other=$({job.again} "$run" $job 2>&1); then
    say "$refusal $other"
    exit $code
  fi
  echo "$refusal $other The run is saved; \\`top1 requeue $run\\` goes on." >"$why"
  give_up
}}

leave_if_told() {{
  case $(shown) in
  *JobState=RUNNING*) ;;  # tasks that left were told to, by a signal or in the time before they are preempted
  *Reason=TimeLimit*)  # a run that came on goes on, though its tasks had no time to leave
    [ -e "$left" ] || [ "$(newest)" != "$begun" ] || exit $code
    go_back ;;
  *)  # cancelled, or preempted at once, which SLURM itself puts back
    say "SLURM is ending or requeueing the job"
    exit $code ;;
  esac
  [ -e "$left" ] && go_back
  heed
  if [ -n "$ending" ]; then  # it will; to exit before would call the job done
    sleep {LEAVING} & wait $!
    exit $code
  fi
}}

# bash must outlive the signals meant for its tasks: it would take them along before they have saved.
heed() {{ trap 'say "told to end"; ending=1' TERM; trap : USR2; }}
heed

say "on $SLURM_JOB_NODELIST"
failures=0
waited=0
begun=$(newest)
while :; do
  before=$(newest)
  rm -f "$run"/logs/give-up.* "$run"/logs/left.* "$run"/logs/outage.*
  srun {options} --output="$run/logs/task-%t.log" \\
    {job.command} &
  tasks=$!
  while :; do  # each signal interrupts wait
    wait $tasks
    code=$?
    kill -0 $tasks 2>/dev/null || break
  done
  trap '' TERM USR2  # they end the commands that are asked here, too
  [ $code = 0 ] && exit 0
  say "the tasks ended with $code"
  [ -e "$why" ] && give_up
  leave_if_told
  if [ "$(newest)" != "$before" ]; then failures=0 waited=0; fi
  if [ -e "$outage" ] && [ $waited -lt {OUTAGE} ]; then
    pause=$((waited < {OUTAGE_PAUSE} ? {OUTAGE_PAUSE} : waited < {LONGEST_PAUSE} ? waited : {LONGEST_PAUSE}))
    waited=$((waited + pause))
    say "$(cat "$outage") The next try is in $pause s."
    sleep $pause & wait $!
    [ -z "$ending" ] || leave_if_told
  else
    failures=$((failures + 1)) end=
    [ $failures -ge {FAILURES} ] && end="$failures {CRASHES}"
    [ -e "$outage" ] && end="storage did not answer for {OUTAGE // 60} minutes: $(cat "$outage")"
    [ -n "$end" ] && echo "$end" >"$why" && give_up
    sleep {PAUSE}
  fi
  for look in $(seq {LOOKS}); do  # a job on a lost node is SLURM's to put back, once it has found out
    srun --ntasks=$SLURM_JOB_NUM_NODES --ntasks-per-node=1 --kill-on-bad-exit=1 true && break
    say "a node does not answer"
    sleep {PAUSE}
  done
  say "starting the tasks again, from $(newest)"
done
"""


def plain_script() -> str:
    """Return the script for people who launch without `top1 submit`; the options at its head are theirs."""
    cluster = Cluster(gpus_per_node=8, cpus_per_node=64)
    job = Job(
        name="top1",
        nodes=1,
        tasks_per_node=8,
        cpus_per_task=8,
        gpus_per_node=8,
        runs=("RUN",),
        command='top1 train "$@" --run "$run" --slurm',
        log="top1-%j.log",
    )
    text = batch_text(cluster, job)
    folder = 'run=${RUN:-runs/$(basename "${1//:/-}")/slurm-$SLURM_JOB_ID}'
    usage = (
        "# sbatch slurm/train.sbatch RECIPE --data DIR   (RUN=DIR before it: go on with a run, or name one)\n"
        "# Written by `python -m slurm.batch`; change the options below to your cluster's."
    )
    found = 'command -v top1 >/dev/null || { echo "activate the environment of top1 first" >&2; exit 1; }'
    return text.replace("run=RUN", f"{found}\n{folder}").replace("#!/bin/bash\n", f"#!/bin/bash\n{usage}\n")


if __name__ == "__main__":
    print(plain_script(), end="")
