// FallowAgent: filled soon
