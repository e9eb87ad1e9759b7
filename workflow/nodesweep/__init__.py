"""nodesweep: one command launches, resumes and tabulates a node-scaling study of LLM pre-training."""
