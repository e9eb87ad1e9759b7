"""Lines in which trainers and launchers say how a run is laid out, beside a dump of all arguments.

Sources: initialize_model_parallel() and the tokenizer of Megatron; parallel_dims.py, train.py and activation
checkpointing of torchtitan; nanotron's trainer; the Trainer of transformers; NeMo's DLLogger; launchers of PyTorch and
DeepSpeed.
"""

from nodesweep.logs.patterns.rows import _settings

SETTINGS = (
    _settings("using world size: ", r"(?:using|,|and) (?P<name>[a-z]{1,20}(?:-[a-z]{1,20}){0,3}[ -]size): VALUE"),
    _settings("> padded vocab (size: ", r"> padded vocab \((?P<name>size): VALUE", size="vocab_size"),
    _settings("device mesh with parallelism: ", r"[ ,](?P<name>[a-z_]{1,20})=VALUE"),
    _settings("Parallelism: ", r" (?P<name>[dpt]p)=VALUE"),
    _settings(
        ("Trainer is initialized with ", "Training starts at step "),
        r"(?:with|,) (?P<name>(?!with )[a-z]{1,20}(?: [a-z]{1,20}){1,3}) VALUE",
    ),
    _settings(
        " activation checkpointing to the model",
        r"(?P<value>[a-z_]{1,40}) (?P<name>activation checkpointing) to the model",
        activation_checkpointing="activation_checkpointing_mode",
    ),
    _settings("| grad_accum: ", r"[|:] (?P<name>[a-z_]{1,40}): VALUE"),
    _settings(
        (
            "  Instantaneous batch size per device = ",
            "  Total train batch size (w. parallel",
            "  Gradient Accumulation s",
        ),
        r"  (?P<name>Instantaneous batch size|Total train batch size|Gradient Accumulation steps)[^=\n]{0,80} = VALUE",
        Instantaneous_batch_size="micro_batch_size",
        Total_train_batch_size="train_batch_size",
        Gradient_Accumulation_steps="gradient_accumulation_steps",
    ),
    _settings("Total steps = ", r"(?P<name>Total steps) = VALUE", Total_steps="train_steps"),  # unsloth
    _settings(" - PARAMETER ", r" PARAMETER (?P<name>\w{1,60}) : VALUE"),
    _settings("num_local_procs=", r"(?P<name>num_local_procs)=VALUE"),
    _settings("nnodes=", r"(?P<name>nnodes)=VALUE"),
    _settings("--nproc", r"--(?P<name>nproc[_-]per[_-]node)[ =]VALUE"),
    _settings("--nnodes ", r"--(?P<name>nnodes) VALUE"),
    _settings("nproc_per_node ", r"(?<=  )(?P<name>nproc_per_node) {1,12}: VALUE"),
)
