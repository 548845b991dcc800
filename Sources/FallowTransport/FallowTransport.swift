// FallowTransport: filled soon
