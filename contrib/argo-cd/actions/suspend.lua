-- Nothing is sent until it is resumed. With selfHeal the repository has to say so too.
obj.spec.suspend = true
return obj
