// FallowPolicy: filled soon
