package scheduler

import (
	"slices"
	"strings"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// settable returns the fields of a job that clients set. All others only the server does.
func settable() []string {
	return []string{"description", "schedule", "time_zone", "http_target", "pubsub_target", "app_engine_http_target", "retry_config", "attempt_deadline"}
}

// merge returns a copy of a job in which what the mask names is as in the other, or all that clients set when it names
// nothing.
func merge(into, from *schedulerpb.Job, mask *fieldmaskpb.FieldMask) (*schedulerpb.Job, error) {
	if mask != nil && !mask.IsValid(from) {
		return nil, invalid("the update mask %.200q names what a job does not have", strings.Join(mask.GetPaths(), ","))
	}
	out := proto.CloneOf(into)
	paths := mask.GetPaths()
	if len(paths) == 0 {
		paths = settable()
	}
	for _, path := range paths {
		names := strings.Split(path, ".")
		if slices.Contains(settable(), names[0]) { // what only the server sets is ignored, as it is by the service
			copyField(out.ProtoReflect(), from.ProtoReflect(), names)
		}
	}
	return out, nil
}

// sets reports whether a mask names a field, or a part of it.
func sets(mask *fieldmaskpb.FieldMask, field string) bool {
	return len(mask.GetPaths()) == 0 || slices.ContainsFunc(mask.GetPaths(), func(path string) bool {
		return path == field || strings.HasPrefix(path, field+".")
	})
}

// copyField sets one field, named from the outside to the inside, as it is in from; a field that is not there is cleared.
func copyField(into, from protoreflect.Message, names []string) {
	field := into.Descriptor().Fields().ByName(protoreflect.Name(names[0]))
	switch {
	case len(names) == 1 && from.Has(field):
		into.Set(field, proto.Clone(from.Interface()).ProtoReflect().Get(field))
	case len(names) == 1:
		into.Clear(field)
	case into.Has(field) || from.Has(field):
		copyField(into.Mutable(field).Message(), from.Get(field).Message(), names[1:])
	}
}
