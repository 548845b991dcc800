// FallowSlurm: filled soon
