// FallowCommand: filled soon
