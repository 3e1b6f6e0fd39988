package fairness

// objectsPerSeat is how many objects of a list cost as much as a get, as
// Kubernetes estimates it.
const objectsPerSeat = 100

// ListWidth is the width of a list of so many objects.
func ListWidth(objects int) int { return 1 + objects/objectsPerSeat }

// callsPerSeat is how many calls that arrive in one message cost as much as one
// that arrives by itself: they share nearly all that it costs.
const callsPerSeat = 16

// BatchWidth is the width of so many calls that arrived together.
func BatchWidth(calls int) int { return 1 + calls/callsPerSeat }
