// FallowExecutor: filled soon
