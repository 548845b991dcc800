// FallowClient: filled soon
