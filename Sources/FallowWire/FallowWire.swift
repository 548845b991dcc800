// FallowWire: filled soon
