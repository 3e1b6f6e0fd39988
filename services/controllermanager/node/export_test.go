package node

// Hint lets tests play gossip.
func (m *Monitor) Hint(name string) { m.hint(name) }
