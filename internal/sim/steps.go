package sim

// verbs are the steps that a scenario can name.
var verbs = map[string]func(*World, Step){}
