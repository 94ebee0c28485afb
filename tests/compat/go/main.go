package main

import _ "github.com/hashicorp/consul/api"
import _ "github.com/hashicorp/consul/api/watch"

func main() {}
