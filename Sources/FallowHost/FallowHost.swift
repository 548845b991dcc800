// FallowHost: filled soon
