// FallowConfiguration: filled soon
