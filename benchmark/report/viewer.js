// The slice viewer.
