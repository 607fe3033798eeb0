/* Mount namespaces of children in a container with a user namespace, where some mounts cannot be taken apart. */
#include "nested_mounts.h"
