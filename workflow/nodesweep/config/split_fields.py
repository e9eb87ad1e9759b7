"""The fields of a layout that say where it runs and how the model and its states are split over the ranks.

They are the first rows of LayoutValues, in layout_fields.py.
"""

from dataclasses import dataclass

from .layout_field import row_of
from .layout_words import SHARDING_WORDS, Sharding
from .model_fields import NUMBER_OF

DEGREE = r"(?: (?:size|degree|ways?|ranks))?"
_PROCESSES = r"gpus?|ranks?|process(?:es)?|procs"


@dataclass(frozen=True, kw_only=True)
class SplitValues:
    """Where a layout runs and how it is split over ranks, as attributes."""

    nodes: int = row_of(
        meaning="nodes",
        symbol="Nodes",
        label="nodes",
        letters="n",
        in_every_slug=True,
        of_machine=True,
        in_tables="always",
        logged_as=("nnodes",),
        headings=rf"{NUMBER_OF}(?:compute )?nodes?(?: count)?|nnodes|(?:計算)?ノード数?|台数",
    )
    ranks_per_node: int = row_of(
        meaning="ranks on each node",
        symbol="Ranks/node",
        label="ranks a node",
        axis=False,
        worked_out=True,
        of_machine=True,
        in_tables="never",
        logged_as=("num_local_procs", "nproc_per_node"),
        headings=rf"{NUMBER_OF}(?:mpi )?(?:{_PROCESSES}|gcds?|tasks|devices?)/node|ppn"
        r"|(?:1 ?)?ノード(?:あたり|当たり|毎)の?(?:gpu|プロセス|ランク)数",
    )
    ranks: int = row_of(
        meaning="ranks of the whole run",
        symbol="Ranks",
        label="ranks",
        axis=False,
        worked_out=True,
        follows=True,
        of_machine=True,
        in_tables="never",
        logged_as=("world_size", "global_num_gpus"),
        headings=rf"{NUMBER_OF}(?:mpi )?(?:{_PROCESSES}|gcds?|accelerators?|devices?|chips?)"
        r"(?: count)?|ngpus|world size|gpu数|(?:mpi)?プロセス数|ランク数",
    )
    data: int = row_of(
        meaning="data-parallel size (DP)",
        symbol="DP",
        optional=True,
        follows=True,
        in_every_slug=True,
        parallel="data",
        in_tables="always",
        logged_as=("data_parallel_size", "dp"),
        checked_in_log=True,
        headings=rf"dp{DEGREE}|data parallel(?:ism)?{DEGREE}|データ並列(?:数|度|サイズ)?",
    )
    tensor: int = row_of(
        meaning="tensor model parallel size (MP)",
        symbol="MP",
        default=1,
        in_every_slug=True,
        parallel="tensor model",
        sets_problem=True,
        in_tables="always",
        logged_as=("tensor_model_parallel_size", "model_parallel_size", "tp"),
        checked_in_log=True,
        headings=rf"(?:mp|tp|tmp|mp/tp|tp/mp){DEGREE}|(?:tensor )?model parallel(?:ism)?{DEGREE}"
        rf"|tensor parallel(?:ism)?{DEGREE}|(?:テンソル|モデル|テンソルモデル)並列(?:数|度|サイズ)?",
    )
    pipeline: int = row_of(
        meaning="pipeline stages (PP)",
        symbol="PP",
        default=1,
        in_every_slug=True,
        parallel="pipeline",
        in_tables="always",
        logged_as=("pipeline_model_parallel_size", "pipe_parallel_size", "pp"),
        checked_in_log=True,
        headings=rf"pp{DEGREE}|pipeline(?: model)? parallel(?:ism)?{DEGREE}|(?:pipeline )?stages|pipeline depth"
        r"|パイプライン並列(?:数|度|サイズ)?|パイプライン段数",
    )
    virtual_pipeline: int = row_of(
        meaning="model chunks of each pipeline stage (VPP), passed through in turns where there are several",
        symbol="VPP",
        default=1,
        of_workload=True,
        notation="virtual pipeline stages of each stage",
        logged_as=("virtual_pipeline_model_parallel_size", "num_virtual_stages_per_pipeline_rank"),
        headings=rf"vpp?{DEGREE}|virtual (?:pp|pipeline)(?: stages| parallel(?:ism)?)?{DEGREE}|virtual stages"
        r"|(?:model )?chunks/stage|仮想(?:パイプライン)?(?:段数|ステージ数)",
    )
    context: int = row_of(
        meaning="context parallel size (CP): ranks that share the tokens of a sample",
        symbol="CP",
        default=1,
        absent_means_default=True,
        parallel="context",
        notation="context parallel size",
        logged_as=(
            "context_parallel_size",
            "context_parallel_degree",
            "cp_size",
            "cp",
            "ds_sequence_parallel_size",
            "sequence_parallel_size",
        ),
        headings=rf"cp{DEGREE}|context parallel(?:ism)?{DEGREE}|(?:ulysses|ring)(?: attention)?(?: sp)?{DEGREE}"
        r"|コンテキスト並列(?:数|度|サイズ)?",
    )
    expert: int = row_of(
        meaning="expert parallel size (EP): ranks over which the experts of a layer are spread",
        symbol="EP",
        default=1,
        absent_means_default=True,
        notation="expert parallel size",
        logged_as=(
            "expert_model_parallel_size",
            "moe_expert_parallel_size",
            "expert_parallel_size",
            "expert_parallel_degree",
            "ep_size",
            "ep",
        ),
        headings=rf"ep{DEGREE}|expert(?: model)? parallel(?:ism)?{DEGREE}|エキスパート並列(?:数|度|サイズ)?",
    )
    expert_tensor: int = row_of(
        meaning="tensor parallel size of the experts (ETP)",
        symbol="ETP",
        default=1,
        absent_means_default=True,
        notation="tensor parallel size of the experts",
        logged_as=("expert_tensor_parallel_size", "expert_tensor_parallel_degree", "etp"),
        headings=rf"etp{DEGREE}|expert tensor parallel(?:ism)?{DEGREE}",
    )
    sharding: Sharding = row_of(
        kind="word",
        words=SHARDING_WORDS,
        meaning="what data-parallel ranks share out: optimizer states (zero1), gradients too (zero2), weights too "
        "(zero3, which fsdp is another word for), or that within groups (hsdp)",
        symbol="Sharding",
        letters="",
        default="none",
        of_workload=True,
        notation="what data-parallel ranks share out: ZeRO 1 to 3, or ZeRO 3 within groups (hsdp)",
        headings=r"sharding(?: strategy)?|zero(?: stage)?|dp type",
    )
    sharding_group: int | None = row_of(
        meaning="ranks that share one copy of the model under hsdp",
        symbol="Shard group",
        letters="group",
        optional=True,
        absent_means_default=True,
        notation="ranks that share one copy of the model",
        headings=rf"fsdp{DEGREE}|hsdp{DEGREE}|shard(?:ing)? group(?: size)?|dp shard{DEGREE}",
    )
    sequence_parallel: bool = row_of(
        kind="yes_no",
        meaning="whether what tensor parallelism leaves whole is split along the sequence (SP)",
        symbol="SP",
        default=False,
        of_workload=True,
        told_by="tensor",
        notation="sequence parallelism of the tensor-parallel ranks",
        logged_as=("sequence_parallel",),
        headings=r"sp|sequence parallel(?:ism)?|系列並列",
    )
