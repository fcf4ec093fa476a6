"""The files that describe a throw-away cluster to SLURM's daemons, as text. Light: writes nothing.

Written for SLURM 22.05 (Debian 12). What a newer version calls otherwise has to be changed here alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DevCluster:
    """What a throw-away cluster is made of; every node is a slurmd on this machine.

    kill_wait: seconds between SIGTERM and SIGKILL.
    """

    nodes: int = 4
    cpus: int = 4
    gpus: int = 2
    accounting: bool = False
    kill_wait: int = 5

    @property
    def node_names(self) -> list[str]:
        return [f"n{i}" for i in range(1, self.nodes + 1)]


_CREDENTIAL = 5  # seconds until a requeued job may start again (SLURM's default is 120)
PORTS = 400  # of one cluster: the controller's, then one a node, accounting's at 90, srun's from 100


SCHEDULER = (
    "sched_interval=1",
    "sched_min_interval=0",
    "bf_interval=1",
    "batch_sched_delay=0",
    "preempt_youngest_first",
)


def slurm_conf(cluster: DevCluster, folder: Path, port: int, user: str, host: str) -> str:
    """Return slurm.conf. NoInAddrAny: without it slurmctld and slurmd listen on every interface."""
    return f"""ClusterName=top1dev
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/s,cred_expire={_CREDENTIAL}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={port}
SrunPortRange={port + 100}-{port + PORTS - 1}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters={",".join(SCHEDULER)}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait={cluster.kill_wait}
OverTimeLimit=0
SlurmdTimeout=10
SlurmctldTimeout=30
UnkillableStepTimeout=15
MinJobAge=3600
InactiveLimit=0
JobAcctGatherType=jobacct_gather/none
{_accounting(cluster, folder, port)}
{_nodes(cluster, port, host)}
PartitionName=debug Nodes=ALL Default=YES DefaultTime=10 PriorityTier=1 GraceTime=0
PartitionName=hi Nodes=ALL DefaultTime=10 PriorityTier=10 PreemptMode=OFF
"""


def _accounting(cluster: DevCluster, folder: Path, port: int) -> str:
    """The controller and sacct reach slurmdbd's munge through AccountingStoragePass, not through AuthInfo."""
    if not cluster.accounting:
        return "AccountingStorageType=accounting_storage/none"
    return (
        f"AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=127.0.0.1\n"
        f"AccountingStoragePort={port + 90}\nAccountingStoragePass={folder}/munge/s"
    )


def _nodes(cluster: DevCluster, port: int, host: str) -> str:
    gres = f" Gres=gpu:{cluster.gpus}" if cluster.gpus else ""
    lines = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port + i} CPUs={cluster.cpus} "
        f"RealMemory=8000{gres} State=UNKNOWN"
        for i, name in enumerate(cluster.node_names, start=1)
    ]
    return "\n".join((["GresTypes=gpu"] if cluster.gpus else []) + lines)


def gres_conf(cluster: DevCluster, folder: Path) -> str:
    """Return gres.conf. A GPU's file must be a character device; a link to the null device is one."""
    names = ",".join(cluster.node_names)
    lines = [f"NodeName={names} Name=gpu File={folder}/gpu/g{i}" for i in range(cluster.gpus)]
    return "\n".join(["AutoDetect=off", *lines, ""])


def slurmdbd_conf(folder: Path, port: int, user: str) -> str:
    """Return slurmdbd.conf; slurmdbd reads it only when nobody else may."""
    return f"""AuthType=auth/munge
AuthInfo=socket={folder}/munge/s
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port + 90}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct
"""


def cluster_toml(cluster: DevCluster) -> str:
    """Return the description that `top1 submit --cluster` takes of this cluster."""
    return f"""# The throw-away cluster of `top1 cluster up`.
partition = "debug"
gpus_per_node = {cluster.gpus or 1}
cpus_per_node = {cluster.cpus}
time = "0:10:00"
signal_seconds = 25
interface = "lo"
"""
