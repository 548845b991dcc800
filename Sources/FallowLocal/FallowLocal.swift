// FallowLocal: filled soon
