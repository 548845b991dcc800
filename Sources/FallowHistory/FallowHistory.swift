// FallowHistory: filled soon
