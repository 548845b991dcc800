// FallowController: filled soon
