"""A small GPT pre-training loop with real tensor, pipeline and data parallelism on torch's own parts."""
