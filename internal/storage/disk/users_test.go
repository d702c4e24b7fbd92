package disk

import "testing"

func TestUsers(t *testing.T) {
	u := NewUsers()
	for range 2 {
		if !u.Enter() {
			t.Fatal("nobody may enter")
		}
	}
	if first, second := u.Shut(), u.Shut(); !first || second {
		t.Error("shut does not tell the first call from the second")
	}
	if u.Enter() {
		t.Error("entered after shut")
	}
	u.Leave()
	select {
	case <-u.gone:
		t.Error("wait ends before the last has left")
	default:
	}
	u.Leave()
	u.Wait()

	empty := NewUsers()
	empty.Shut()
	empty.Wait()
}
