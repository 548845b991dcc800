// FallowModel: filled soon
